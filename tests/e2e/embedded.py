"""What the end-to-end tests share: the embedded default in a folder of its own, kubectl, and clients under load.

Python's standard library alone. Every wait has a limit, and what is waited for is named when it runs out.
"""

import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("STEPDOWN_BIN", ROOT / "build/release/bin"))
HARBOR = ROOT / "examples/harbor-analytics"


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def wait_for(what, check, seconds=60.0, every=0.1):
    """Polls until check() gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


class Kubectl:
    """One API server, spoken to with stock kubectl."""

    def __init__(self, kubeconfig, program="kubectl"):
        self.kubeconfig = kubeconfig
        self.program = program

    def try_kubectl(self, *arguments, text=None):
        return subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, *arguments],
            input=text, capture_output=True, text=True, timeout=60, check=False,
        )

    def kubectl(self, *arguments, text=None):
        done = self.try_kubectl(*arguments, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def get(self, kind, name=None, selector=None, namespace="default"):
        chosen = ([name] if name else []) + (["-l", selector] if selector else []) + ["-n", namespace]
        done = self.try_kubectl("get", kind, *chosen, "-o", "json")
        if done.returncode != 0:
            return None
        found = json.loads(done.stdout)
        return found if name else found["items"]

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def phase(self, name):
        model = self.get("quantizedmodel", name)
        return (model or {}).get("status", {}).get("phase")

    def wait_phase(self, name, phases, seconds=120):
        return wait_for(f"{name} in {phases}", lambda: (phase := self.phase(name)) in phases and phase, seconds)

    def service_address(self, name):
        service = self.get("service", name)
        return service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]


class Embedded(Kubectl):
    """`kubectl-stepdown local up` in a temporary folder; stopped and checked for leftovers on exit."""

    def __init__(self, name):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"stepdown-{name}-"))
        super().__init__(self.dir / "kubeconfig")

    def __enter__(self):
        with open(self.dir / "up.log", "w") as log:
            self.process = subprocess.Popen(
                [BIN / "kubectl-stepdown", "local", "up", "--dir", self.dir, *self.up_arguments()], stdout=log, stderr=log, start_new_session=True
            )
        wait_for("local up answers", self.answers, 30)
        return self

    def up_arguments(self):
        return []

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"local up ended with {self.process.returncode}: {(self.dir / 'up.log').read_text()[-2000:]}")
        return self.kubeconfig.exists() and self.try_kubectl("get", "quantizedmodels").returncode == 0

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.show_state()
        subprocess.run([BIN / "kubectl-stepdown", "local", "down", "--dir", self.dir], timeout=60, check=False)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        left = self.processes(".")
        if kind is None:
            assert not left, f"left running after local down: {left}"
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            say(f"state kept in {self.dir}")

    def show_state(self):
        for what in ("qm -o wide", "pods,jobs,deployments", "events"):
            print(self.try_kubectl("get", *what.split()).stdout, flush=True)
        print((self.dir / "up.log").read_text()[-6000:], flush=True)

    def processes(self, pattern):
        """Processes of this instance that match the pattern: pid → command line. Its own programs name its folder;
        pods, which live in a mount namespace, know its API server's port."""
        found = {}
        port = (self.dir / "port").read_text().strip() if (self.dir / "port").exists() else "none"
        mark = f"KUBERNETES_SERVICE_PORT={port}\0".encode()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes()
                program = os.readlink(entry / "exe")
            except OSError:
                continue
            if not re.search(r"/(kubectl-stepdown|stepdown-[a-z]+)$", program):
                continue
            if str(self.dir) not in command and mark not in environment + b"\0":
                continue
            if re.search(pattern, f"{os.path.basename(program)} {command}"):
                found[int(entry.name)] = command
        return found

    def kill(self, pattern):
        """SIGKILL to every matching process; gives how many there were."""
        victims = self.processes(pattern)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(victims)


class Phases:
    """Every phase that a model shows, however short: a watch, begun again whenever it breaks."""

    def __init__(self, cluster, name):
        self.command = ["kubectl", "--kubeconfig", cluster.kubeconfig, "get", "quantizedmodels", "--field-selector", f"metadata.name={name}",
                        "-w", "-o", "jsonpath={.status.phase}{'\\n'}"]
        self.seen, self.last, self.stopping, self.process = set(), None, False, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stopping = True
        if self.process:
            self.process.kill()
        self.thread.join(10)

    def run(self):
        while not self.stopping:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in self.process.stdout:
                if line.strip():
                    self.last = line.strip()
                    self.seen.add(self.last)
            self.process.wait()
            time.sleep(0.05)

    def now(self):
        return self.last


def harbor_model(name, **changes):
    """A QuantizedModel of the example's model with a short evaluation and quick steps."""
    spec = {
        "model": {"source": f"file://{HARBOR}/model"},
        "quantization": {"candidates": [{"method": "gguf", "preset": "Q8_0"}, {"method": "gguf", "preset": "Q4_K_M"}]},
        "storage": {"size": "1Gi"},
        "serving": {"contextLength": 512, "concurrency": 2},
        "evaluation": {
            "dataset": f"file://{short_dataset()}",
            "suites": [{"type": "jsonSchema", "schema": json.loads((HARBOR / "schema.json").read_text())}],
            "slo": {"jsonPassConstrained": {"min": 0.9}},
        },
        "rollout": {"minAnswers": 2, "steps": [{"weight": 5, "hold": "2s"}, {"weight": 25, "hold": "2s"}, {"weight": 100, "hold": "2s"}]},
    }
    for path, value in changes.items():
        at = spec
        *parents, last = path.split("__")
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return {
        "apiVersion": "stepdown.dev/v1alpha1",
        "kind": "QuantizedModel",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def short_dataset(prompts=8):
    path = pathlib.Path(tempfile.gettempdir()) / f"stepdown-e2e-{os.getuid()}-{prompts}.jsonl"
    path.write_text("".join((HARBOR / "data/heldout.jsonl").read_text().splitlines(keepends=True)[:prompts]))
    return path


class Load:
    """Clients that ask without pause until stopped. A failed answer is one the design counts as such: transport
    error, no 200, no finish, or text that breaks the schema asked for."""

    def __init__(self, address, model, clients=2, repeats=0):
        self.host, self.port = address
        self.model = model
        self.repeats = repeats  # how often a broken connection is tried again, by the same request id
        self.schema = json.loads((HARBOR / "schema.json").read_text())
        self.prompts = [json.loads(line)["messages"] for line in (HARBOR / "data/heldout.jsonl").read_text().splitlines()]
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.answers, self.failures, self.routes, self.broken = 0, [], [], []
        self.replaced = []  # when it was asked and answered, of answers that FP16 gave in a bad one's place
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, client):
        number = client
        while not self.stopping.is_set():
            failure, route = self.ask(f"load-{client}-{number}", self.prompts[number % len(self.prompts)])
            number += len(self.threads)
            with self.lock:
                self.answers += 1
                self.routes.append((time.monotonic(), route))
                if failure:
                    self.failures.append(failure)
                    time.sleep(0.05)

    def ask(self, request_id, messages):
        for attempt in range(self.repeats + 1):
            try:
                return self.ask_once(request_id, messages)
            except (OSError, http.client.HTTPException) as error:
                failure = f"{request_id}: {type(error).__name__} {error}"
                self.broken.append(time.monotonic())
                if attempt < self.repeats:
                    time.sleep(0.2)
            except (ValueError, LookupError, TypeError) as error:  # an answer of another shape is no answer
                return f"{request_id}: {type(error).__name__} {error}", None
        return failure, None

    def ask_once(self, request_id, messages):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        asked = time.monotonic()
        body = {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": 200,
            "response_format": {"type": "json_schema", "json_schema": {"name": "incident", "schema": self.schema}},
        }
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json", "x-request-id": request_id})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        route = response.getheader("x-stepdown-route")
        if response.getheader("x-stepdown-retried"):
            self.replaced.append((asked, time.monotonic()))
        if response.status != 200:
            return f"{request_id}: HTTP {response.status} {text[:300]}", route
        choice = json.loads(text)["choices"][0]
        if choice["finish_reason"] != "stop":
            return f"{request_id}: finish_reason {choice['finish_reason']}", route
        answer = json.loads(choice["message"]["content"])
        if set(answer) != {"severity", "root_cause", "recommendations"} or len(answer["recommendations"]) != 3:
            return f"{request_id}: breaks the schema: {choice['message']['content'][:200]}", route
        return None, route


def end_state(cluster, name):
    """What must be the same however the rollout was disturbed: children by kind and name, and the settled status."""
    model = cluster.get("quantizedmodel", name)
    status = model["status"]
    # A Job's name ends in a hash of what its result depends on, the object's UID included, which each run has anew.
    children = {
        kind: sorted(
            re.sub(r"-[0-9a-f]{8}$", "", item["metadata"]["name"])
            for item in cluster.get(kind, selector=f"stepdown.dev/model={name}")
        )
        for kind in ("deployments", "services", "jobs", "quantrevisions", "persistentvolumeclaims", "serviceaccounts")
    }
    conditions = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    return {
        "phase": status["phase"],
        "stable": status.get("stableRevision"),
        "children": children,
        "conditions": conditions,
        "blocked": [item["digest"] for item in status.get("blocked", [])],
    }


def whole_artifacts(cluster):
    """Every published artifact is the one that its folder names; gives how many there are."""
    found = [path for path in cluster.dir.rglob("model.gguf") if re.fullmatch("[0-9a-f]{64}", path.parent.name)]
    for path in found:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == path.parent.name, f"{path} is not whole: {digest}"
    return len(found)


def at_rest(cluster, name):
    """Ready, and what lost is removed from the claim: nothing is left to do."""
    model, jobs = cluster.get("quantizedmodel", name), cluster.get("jobs", selector=f"stepdown.dev/model={name}")
    if model is None or jobs is None:  # the API server was killed a moment ago
        return False
    status = model["status"]
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status["conditions"])
    losers = [row for row in status["candidates"] if row["state"] != "Chosen" and row.get("uri")]
    collects = any("-collect-" in job["metadata"]["name"] for job in jobs)
    return ready and not losers and not status.get("leftovers") and not collects


def main(*tests):
    for test in tests:
        say(f"{test.__name__}: {(test.__doc__ or '').strip().splitlines()[0]}")
        started = time.monotonic()
        test()
        say(f"{test.__name__}: passed in {time.monotonic() - started:.1f} s")
    sys.exit(0)
