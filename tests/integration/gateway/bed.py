"""What the scenarios stand on: an API server of $KUBECONFIG, engines, gateways, clients."""
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "controller"))
from api import Api  # noqa: E402
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BIN = os.environ.get("STEPDOWN_BIN", os.path.join(ROOT, "build/release/bin"))
BASE, GOOD, BAD = "sha256:" + "b" * 64, "sha256:" + "1" * 64, "sha256:" + "2" * 64

# The API server takes no loopback address for an endpoint.
ADDRESS = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()[0]

def kubectl(*args, stdin=None):
    done = subprocess.run(["kubectl", "--request-timeout=10s", *args], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"kubectl {args}: {done.stderr}"
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(connection, prompt):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], "temperature": 0})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    text = json.loads(data)["choices"][0]["message"]["content"] if answer.status == 200 else ""
    return answer.status == 200 and prompt in text, answer.getheader("x-stepdown-route")


class Load:
    """Clients that ask until told to stop; what they saw."""

    def __init__(self, port, clients=8, host="127.0.0.1"):
        self.failed, self.routes, self.stopped = [], [], False
        self.threads = [threading.Thread(target=self.ask, args=(host, port, c)) for c in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self, host, port, client):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        i = 0
        while not self.stopped:
            i += 1
            try:
                right, route = post(connection, f"q{client}-{i}")
                self.routes.append((time.time(), route))
                if not right:
                    self.failed.append("wrong or refused answer")
            except Exception as error:  # an answer of another shape too: a client that ends here would tell of nothing
                self.failed.append(repr(error))
                connection.close()

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join()
        assert self.routes, "no client had an answer"
        assert not self.failed, f"{len(self.failed)} of {len(self.routes)} answers failed: {self.failed[:3]}"


class Bed:
    """A namespace with one QuantizedModel; the test plays the operator, the pods and the endpoint controller."""

    made = 0

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        Bed.made += 1
        self.ns = f"gateway-{os.getpid()}-{Bed.made}"
        kubectl("apply", "--server-side", "-f", os.path.join(ROOT, "crds/quantizedmodels.yaml"))
        kubectl("wait", "--for=condition=Established", "crd/quantizedmodels.stepdown.dev", "--timeout=10s")
        kubectl("create", "namespace", self.ns)
        self.api = Api(self.ns)
        self.api.create("QuantizedModel", {
            "apiVersion": "stepdown.dev/v1alpha1", "kind": "QuantizedModel",
            "metadata": {"name": "m", "namespace": self.ns},
            "spec": {"model": {"source": "file:///models/m"}}})

    def engine(self, mode, port=None):
        port = port or free_port()
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "fake_engine.py"), str(port), mode])
        self.processes.append(process)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return process, port
            time.sleep(0.02)
        raise AssertionError("the fake engine did not start")

    def slice(self, service, port, name=None):
        kubectl("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name or service, "namespace": self.ns,
                         "labels": {"kubernetes.io/service-name": service, "stepdown.dev/model": "m"}},
            "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}]}))

    def rollout(self, **fields):
        status = {"rollout": {"stable": BASE, "salt": "s", "controlPercent": 0, **fields}}
        self.api.merge("QuantizedModel", "m", {"status": status}, "status")

    def gateway(self, kubeconfig=None, host="127.0.0.1", port=None, state="state", arguments=()):
        port = port or free_port()
        process = subprocess.Popen(
            [os.path.join(BIN, "stepdown-gateway"), "--namespace", self.ns, "--model", "m", "--host", host,
             "--port", str(port), "--state-dir", os.path.join(self.folder, state), *arguments],
            env={**os.environ, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})})
        self.processes.append(process)
        return process, port

    def dead_kubeconfig(self):
        """Of an API server that is not there."""
        path = os.path.join(self.folder, "kubeconfig")
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"""apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{free_port()}"}}}}]
users: [{{name: u, user: {{token: x}}}}]
""")
        return path

    def status(self):
        return self.api.get("QuantizedModel", "m").get("status", {})

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.api.delete("QuantizedModel", "m")
        self.api.close()
        kubectl("delete", "namespace", self.ns, "--wait=false")


def get(port, path, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def embed(port, text):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/v1/embeddings", json.dumps({"model": "m", "input": text}), {"content-type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.getheader("x-stepdown-route"), json.loads(answer.read())


def route(port, host="127.0.0.1"):
    return get(port, "/route", host)


def until(what, limit, check):
    deadline = time.time() + limit
    while time.time() < deadline:
        try:
            found = check()
            if found:
                return found
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what}")
