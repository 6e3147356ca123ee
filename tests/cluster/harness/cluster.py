"""A cluster as a context manager. Tiers: `api` (etcd and API server; no root needed), `objects` (and the controllers that
collect garbage, empty namespaces and make accounts, while a test plays the others), `control` (all controllers, and the
scheduler), `node` (and a kubelet with containerd; root, Linux namespaces and cgroups needed)."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from . import isolation, tools
from .control_plane import ControlPlane
from .node import PACKAGES, Node
from .processes import Processes, own_address

ROOT = pathlib.Path(__file__).resolve().parents[3]
TIERS = ("api", "objects", "control", "node")
sys.path.insert(0, str(ROOT / "tests/e2e"))
from embedded import Kubectl, say, wait_for


class Cluster(Kubectl):
    def __init__(self, tier="api", nodes=1):
        self.tier = tier
        self.nodes = nodes if tier == "node" else 0
        self.programs = tools.folder()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=isolation.folder_prefix(os.environ.get(isolation.MARK, os.getpid()))))
        super().__init__(self.dir / "kubeconfig", self.programs / "kubectl")

    def __enter__(self):
        started = time.monotonic()
        self.processes = Processes(self.dir / "logs")
        try:
            address = isolation.NODE_ADDRESS if self.tier == "node" else own_address()
            self.control = ControlPlane(self.dir, self.programs, self.processes, address)
            self.control.start(objects=self.tier != "api", workloads=self.tier in ("control", "node"))
            self.nodes = [Node(self.dir, self.programs, self.processes, self.control, number + 1) for number in range(self.nodes)]
            for node in self.nodes:
                node.start()
                wait_for(f"{node.name} is Ready", lambda node=node: self.node_ready(node.name), 60)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        say(f"Kubernetes {tools.KUBERNETES}, tier {self.tier}, is up after {time.monotonic() - started:.1f} s")
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and hasattr(self, "control"):
            self.show_state()
        self.processes.stop_all()
        if os.environ.get("STEPDOWN_KEEP"):
            say(f"state kept in {self.dir}")
        else:
            for mount in reversed([line.split()[1] for line in open("/proc/mounts") if line.split()[1].startswith(f"{self.dir}/")]):
                subprocess.run(["umount", "-l", mount], check=False)
            shutil.rmtree(self.dir, ignore_errors=True)

    def show_state(self):
        for what in ("qm -A -o wide", "pods,jobs,deployments -A -o wide", "pv,pvc -A", "events -A"):
            print(self.try_kubectl("get", *what.split()).stdout[-6000:], flush=True)
        for name in self.processes.running:
            print(f"--- {name}\n{self.processes.tail(name, 1000)}", flush=True)

    @property
    def node(self):
        return self.nodes[0]

    def import_image(self, archive):
        for node in self.nodes:
            node.import_image(archive)

    def node_of(self, pod):
        return next(node for node in self.nodes if node.name == pod["spec"]["nodeName"])

    def kill(self, pod):
        """SIGKILL to the program of a pod's only container."""
        return self.node_of(pod).ctr("task", "kill", "-s", "SIGKILL", self.container_of(pod)).returncode == 0

    def container_of(self, pod):
        """A kubelet tells it a moment after the program began."""
        name, until = pod["metadata"]["name"], time.monotonic() + 30
        while "containerID" not in (pod["status"].get("containerStatuses") or [{}])[0]:
            assert time.monotonic() < until, f"pod {name} tells no container: {pod['status']}"
            time.sleep(0.05)
            pod = self.get("pod", name) or pod
        return pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]

    def node_ready(self, name):
        node = self.get("node", name) or {}
        return any(item["type"] == "Ready" and item["status"] == "True" for item in node.get("status", {}).get("conditions", []))

    def helm(self, *arguments, text=None):
        """Always with a limit: a helm that waits for what never comes does not end by itself."""
        done = subprocess.run(
            [self.programs / "helm", "--kubeconfig", self.kubeconfig, *map(str, arguments)], input=text, capture_output=True, text=True,
            timeout=300, check=False, env={**os.environ, "HELM_CACHE_HOME": f"{self.dir}/helm", "HELM_CONFIG_HOME": f"{self.dir}/helm",
                                           "HELM_DATA_HOME": f"{self.dir}/helm"},
        )
        assert done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}"
        return done.stdout

    def account_kubeconfig(self, namespace, name):
        """A kubeconfig with the token of a ServiceAccount: what RBAC grants it, and no more."""
        token = self.kubectl("create", "token", name, "-n", namespace, "--duration=2h").strip()
        return self.control.authority.kubeconfig(self.dir / f"{name}.kubeconfig", self.control.server, token=token)

    def audit(self):
        """What was asked of the API server so far, one dictionary a request."""
        return [json.loads(line) for line in self.control.audit_log.read_text().splitlines()]


def prepare(tier, *more, also=lambda: None):
    """Installs what the tier needs, `more` packages, and does what `also` needs the network for; for a node, moves this program into
    namespaces of its own. Call it first."""
    packages = ["openssl", "ca-certificates", "python3-venv", *more] + (list(PACKAGES) if tier == "node" else [])
    if not os.environ.get(isolation.MARK):
        subprocess.run([ROOT / ".ci/install", *packages], check=True)
        tools.folder()
        also()
    if tier != "node":
        return
    reason = isolation.reason_against() if not os.environ.get(isolation.MARK) else ""
    if reason:
        print(f"left out: kubelet, containerd and all that runs in pods: {reason}")
        sys.exit(77)
    isolation.enter()
