"""What the tests of faults share: an operator, a namespace with its played world, a proxy that breaks what goes through it."""
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "controller"))
from api import Api, wait_for
from controller_test import CHILDREN, MODEL, OPERATOR, ROOT, kubectl, told
from faulty_proxy import FaultyProxy
from world import World

BASE, SMALL, LARGE = ("sha256:" + digit * 64 for digit in "b48")
QUICK = [{"weight": 5, "hold": "1s"}, {"weight": 100, "hold": "1s"}]


class Operator:
    def __init__(self, kubeconfig, namespace, log, *flags):
        self.log = open(log, "a")
        self.process = subprocess.Popen(
            [OPERATOR, "--kubeconfig", kubeconfig, "--namespace", namespace, "--metrics-addr", "127.0.0.1:0", *flags],
            stdout=subprocess.DEVNULL, stderr=self.log)

    def end(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        self.process.wait(30)
        self.log.close()

    def peak_mebibytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) >> 10


class Suite:
    """The API server of $KUBECONFIG; `pki` has its certificates: ca, admin and, for the proxy to show, `server`."""

    def __init__(self, work, pki, server="server"):
        self.work = work
        self.pki = pki
        self.server_pair = (pki / f"{server}.crt", pki / f"{server}.key")
        self.server = json.loads(kubectl("config", "view", "--raw", "-o", "json"))["clusters"][0]["cluster"]["server"]
        self.address = self.server.split("//")[1].split(":")
        tls = ssl.create_default_context(cafile=self.pki / "ca.crt")
        tls.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        self.tls = tls
        self.proxy = FaultyProxy((self.address[0], int(self.address[1])), *self.server_pair, tls)
        self.disturbed = work / "disturbed-kubeconfig"
        text = Path(os.environ["KUBECONFIG"]).read_text()
        self.disturbed.write_text(text.replace(self.server, f"https://127.0.0.1:{self.proxy.port}"))
        kubectl("apply", "-f", str(ROOT / "crds"))
        kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")

    @classmethod
    def of_arguments(cls):
        """WORK [PKI [SERVER]]; without PKI the embedded API's in WORK."""
        work, *rest = sys.argv[1:]
        return cls(Path(work), Path(rest[0]) if rest else Path(work) / "api/pki", *rest[1:])

    def close(self):
        self.proxy.close()


class Run:
    """One namespace with its world, and operators that come and go."""

    def __init__(self, suite, name):
        self.suite = suite
        self.namespace = name
        self.log = suite.work / f"{name}.log"
        self.operators = []

    def __enter__(self):
        kubectl("create", "namespace", self.namespace)
        self.api = Api(self.namespace)
        self.api.create("ServiceAccount", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        self.world = World(self.api)
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            print(self.log.read_text()[-4000:] if self.log.exists() else "", file=sys.stderr)
        for operator in self.operators:
            if operator.process.poll() is None:
                operator.end(signal.SIGKILL)
        self.world.stop.set()
        self.world.thread.join()
        if not kind and self.world.error:
            raise self.world.error
        self.api.close()
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def operator(self, kubeconfig, *flags):
        self.operators.append(Operator(kubeconfig, self.namespace, self.log, *flags))
        return self.operators[-1]

    def create(self):
        model = json.loads(json.dumps(MODEL))
        model["spec"]["rollout"]["steps"] = QUICK
        self.api.create("QuantizedModel", model)

    def model(self):
        return self.api.get("QuantizedModel", "demo")

    def status(self):
        return (self.model() or {}).get("status", {})

    def until(self, phase, seconds=120):
        wait_for(f"phase {phase}", lambda: self.status().get("phase") == phase, seconds)

    def until_settled(self, stable, seconds=180):
        """Promoted, every engine ready, and what is superfluous gone."""
        def settled():
            status = self.status()
            ready = {each["type"]: each["status"] for each in status.get("conditions", [])}.get("Ready")
            losers = [row for row in status.get("candidates", []) if row.get("digest") != stable and row.get("uri")]
            return (ready == "True" and not losers and status.get("stableRevision", "").endswith(stable[7:19])
                    and not any("-collect-" in job["metadata"]["name"] for job in self.api.list("Job")))
        wait_for("the end state", settled, seconds)

    def end_state(self):
        status = self.status()
        return {"phase": status["phase"], "stable": status.get("stableRevision"), "children": self.children(),
                "conditions": {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]},
                "candidates": [(row["name"], row["state"], row.get("collected")) for row in status["candidates"]]}

    def children(self):
        """By kind and name, less the hashes of what is made anew in each run; twins would stand there twice."""
        return {kind: sorted(re.sub(r"-[0-9a-f]{8}$", "", item["metadata"]["name"]) for item in self.api.list(kind)
                             if item["metadata"]["name"] != "default" and not item["metadata"].get("deletionTimestamp"))
                for kind in CHILDREN}

    def versions(self):
        return {(kind, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
                for kind in CHILDREN for item in self.api.list(kind)}
