"""A real Prometheus that scrapes what the chart's monitors select and judges its alerts.

Debian's knows files of targets, but no Kubernetes: `discover` writes them as Prometheus' own discovery would find them.
"""

import json
import urllib.parse
import urllib.request

import yaml

from . import tools
from .cluster import ROOT
from .processes import free_ports

FILES = ROOT / "charts/stepdown/files"


def meta(kind, name):
    return f"__meta_kubernetes_{kind}_" + "".join(each if each.isalnum() else "_" for each in name)


def scrape_config(monitor, targets):
    """What Prometheus Operator makes of a ServiceMonitor or PodMonitor, as far as the chart uses them."""
    pods, spec = monitor["kind"] == "PodMonitor", monitor["spec"]
    kind = "pod" if pods else "service"

    def label(name):
        return meta(kind, f"label_{name}")

    [endpoint] = spec["podMetricsEndpoints" if pods else "endpoints"]
    port = "__meta_kubernetes_pod_container_port_name" if pods else "__meta_kubernetes_endpoint_port_name"
    keep = {label(key): value for key, value in spec["selector"].get("matchLabels", {}).items()} | {port: endpoint["port"]}
    keep |= {label(each["key"]): "|".join(each["values"]) for each in spec["selector"].get("matchExpressions", [])}
    rules = [{"action": "keep", "source_labels": [source], "regex": value} for source, value in keep.items()]
    rules += [{"source_labels": [f"__meta_kubernetes_{source}"], "target_label": target}
              for source, target in (("namespace", "namespace"), ("pod_name", "pod"))]
    rules += [{"source_labels": [label(each)], "regex": "(.+)", "target_label": label(each).split("_label_")[1]}
              for each in spec.get("podTargetLabels", [])]
    return {"job_name": monitor["metadata"]["name"], "relabel_configs": rules, "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}


def pod_targets(pods):
    """Each port of each container."""
    return [{"targets": [f"{pod['status']['podIP']}:{port['containerPort']}"], "labels": {
        "__meta_kubernetes_namespace": pod["metadata"]["namespace"], "__meta_kubernetes_pod_name": pod["metadata"]["name"],
        "__meta_kubernetes_pod_container_port_name": port["name"], **{meta("pod", f"label_{key}"): value for key, value in pod["metadata"]["labels"].items()}}}
        for pod in pods if pod["status"].get("podIP") and pod["status"]["phase"] == "Running"
        for container in pod["spec"]["containers"] for port in container.get("ports", [])]


def endpoint_targets(services, slices):
    """Each port of each endpoint of each Service."""
    return [{"targets": [f"{address}:{port['port']}"], "labels": {
        "__meta_kubernetes_namespace": service["metadata"]["namespace"], "__meta_kubernetes_pod_name": endpoint["targetRef"]["name"],
        "__meta_kubernetes_endpoint_port_name": port["name"], **{meta("service", f"label_{key}"): value for key, value in service["metadata"]["labels"].items()}}}
        for service in services for each in slices if each["metadata"]["labels"].get("kubernetes.io/service-name") == service["metadata"]["name"]
        for endpoint in each.get("endpoints") or [] if "targetRef" in endpoint for address in endpoint["addresses"] for port in each["ports"] or []]


class Prometheus:
    def __init__(self, cluster, monitors, namespaces):
        self.cluster, self.namespaces, self.folder = cluster, namespaces, cluster.dir / "prometheus"
        self.folder.mkdir()
        self.discover()
        (self.folder / "config.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(FILES / "alerts.yaml")],
            "scrape_configs": [scrape_config(each, self.folder / f"{each['kind']}.json") for each in monitors]}))
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        cluster.processes.start("prometheus", [
            tools.prometheus(), f"--config.file={self.folder}/config.yml", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{port}"])
        cluster.processes.wait_ready("prometheus", self.answers)

    def discover(self):
        """Looks for pods and Services once; to be called after they changed."""
        found = {kind: [item for each in self.namespaces for item in self.cluster.get(kind, namespace=each)] for kind in ("pods", "services", "endpointslices")}
        for monitor, targets in (("PodMonitor", pod_targets(found["pods"])), ("ServiceMonitor", endpoint_targets(found["services"], found["endpointslices"]))):
            partial = self.folder / f"{monitor}.partial"
            partial.write_text(json.dumps(targets))
            partial.rename(self.folder / f"{monitor}.json")

    def answers(self):
        try:
            return self.ask("status/runtimeinfo")
        except OSError:
            return None

    def ask(self, path, **query):
        with urllib.request.urlopen(f"{self.url}/{path}?{urllib.parse.urlencode(query)}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def targets(self):
        return self.ask("targets", state="active")["activeTargets"]

    def alerts(self):
        """Every rule by name: its state, such as firing, and what is wrong with it, which is nothing."""
        return {rule["name"]: (rule["state"], rule.get("lastError", "")) for group in self.ask("rules")["groups"] for rule in group["rules"]}


def panels():
    """The dashboard's expressions, as Grafana would ask them for all models: (title, expression)."""
    chosen = {"$__rate_interval": "1m", "$namespace": ".*", "$model": ".*"}
    for panel in json.loads((FILES / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in chosen.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def monitors(cluster, namespace):
    text = cluster.helm("template", "stepdown", ROOT / "charts/stepdown", "-n", namespace, "-s", "templates/monitoring.yaml",
                        "--set=metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true")
    return [item for item in yaml.safe_load_all(text) if item]
