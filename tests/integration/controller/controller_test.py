"""The operator against an API server: from YAML to promotion, rollback, kill -9, a second copy, deletion."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from api import Api, wait_for
from world import World

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = Path(os.environ.get("STEPDOWN_BIN", ROOT / "build/release/bin")) / "stepdown-operator"
CHILDREN = ["Job", "Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim",
            "QuantRevision"]
MODEL = {
    "apiVersion": "stepdown.dev/v1alpha1", "kind": "QuantizedModel", "metadata": {"name": "demo"},
    "spec": {"model": {"source": "file:///models/base"},
             "quantization": {"candidates": [{"method": "gguf", "preset": "Q8_0"},
                                             {"method": "gguf", "preset": "Q4_K_M"}]},
             "evaluation": {"dataset": "file:///data/eval.jsonl", "slo": {"jsonPass": {"min": 0.9, "maxDrop": 0.05}},
                            "suites": [{"type": "jsonSchema", "schema": {"type": "object"}}]},
             "rollout": {"steps": [{"weight": 5, "hold": "2s"}, {"weight": 100, "hold": "2s"}]}}}


class Operator:
    running = []

    def __init__(self, namespace, log):
        self.log = open(log, "a")
        self.process = subprocess.Popen(
            [OPERATOR, "--namespace", namespace, "--metrics-addr", "127.0.0.1:0", "--leader-elect",
             "--lease-namespace", namespace], stdout=subprocess.DEVNULL, stderr=self.log)
        Operator.running.append(self.process)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=20)
        self.log.close()
        assert status == 0, f"the operator ended with {status} on SIGTERM"

    def peak_memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def told(name):
    print(f"ok    {name}", flush=True)


def kubectl(*args):
    done = subprocess.run(["kubectl", *args], capture_output=True, text=True)
    assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


class Suite:
    def __init__(self, work):
        self.namespace = f"controller-test-{os.getpid()}"
        self.log = work / "operator.log"
        kubectl("apply", "-f", str(ROOT / "crds"))
        self.api = Api(self.namespace)
        self.api.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.api.create("ServiceAccount", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        self.world = World(self.api)

    def close(self):
        for process in Operator.running:
            process.kill()
        self.world.close()
        self.api.close()
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def operator(self):
        return Operator(self.namespace, self.log)

    def model(self):
        return self.api.get("QuantizedModel", "demo")

    def phase(self):
        model = self.model()
        return (model or {}).get("status", {}).get("phase")

    def until(self, phase, seconds=60):
        wait_for(f"phase {phase}", lambda: self.phase() == phase, seconds)

    def versions(self):
        return {(kind, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
                for kind in CHILDREN + ["QuantizedModel"] for item in self.api.list(kind)}

    def left(self):
        return [f"{kind}/{item['metadata']['name']}" for kind in CHILDREN for item in self.api.list(kind)
                if item["metadata"].get("labels", {}).get("stepdown.dev/model") == "demo"
                and "deletionTimestamp" not in item["metadata"]]

    def run(self):
        operator = self.operator()
        self.api.create("QuantizedModel", MODEL)
        self.until("Promoted")
        status = self.model()["status"]
        assert status["stableRevision"] == "demo-" + "4" * 12, status
        assert status["summary"]["method"] == "gguf/Q4_K_M" and status["summary"]["memorySaved"] == "-60%", status
        told("YAML to promotion")
        print(kubectl("-n", self.namespace, "get", "quantizedmodels"), end="")

        wait_for("engines settle", lambda: self.ready() == "True")
        time.sleep(3)
        before = self.versions()
        time.sleep(5)
        assert self.versions() == before, "a settled model is written to"
        told("a settled model is not written to")

        deployment = self.api.merge("Deployment", "demo-fp16", {"spec": {"replicas": 3}})
        wait_for("drift is mended", lambda: self.api.get("Deployment", "demo-fp16")["spec"]["replicas"] == 1)
        assert deployment["spec"]["replicas"] == 3
        owners = [(each["manager"], each["operation"]) for each in self.api.get("Deployment", "demo-fp16")["metadata"]["managedFields"]]
        assert ("stepdown-operator", "Apply") in owners and ("stepdown-operator", "Update") not in owners, owners
        told("what somebody else changed is put back")
        self.tells_of_another_who_applies()

        reasons = {event.get("reason") for event in self.api.list("Event")}
        assert {"Quantizing", "Evaluating", "Canary", "Promoted"} <= reasons, reasons
        told("Events tell each phase")

        self.world.tripped["sha256:" + "4" * 64] = True
        self.until("RolledBack")
        status = self.model()["status"]
        assert status["rollout"]["stable"] == "sha256:" + "b" * 64 and status["lastRollback"]["badAnswers"] == 6
        conditions = {each["type"]: each["status"] for each in status["conditions"]}
        assert (conditions["Ready"], conditions["Stalled"], conditions["Available"], conditions["CanaryHealthy"]) == (
            "False", "True", "True", "False"), conditions
        told("a trip rolls back")
        print(kubectl("-n", self.namespace, "get", "quantizedmodels"), end="")
        wait_for("the engine is removed", lambda: not self.api.get("Deployment", "demo-" + "4" * 12), 60)
        told("the engine of a rolled back revision is removed")

        second = self.operator()
        time.sleep(1)
        operator.kill()
        self.world.tripped.clear()
        self.api.merge("QuantizedModel", "demo",
                       {"metadata": {"annotations": {"stepdown.dev/command": "retry//1"}}})
        self.api.merge("QuantizedModel", "demo", {"status": {"verdict": None}}, "status")
        self.until("Promoted", 90)
        told("a second copy takes over by the Lease, and retry rolls out again")
        assert second.peak_memory() < 64 << 20, second.peak_memory()
        print(f"peak memory of the operator: {second.peak_memory() >> 20} MiB")
        second.stop()

        self.api.merge("QuantizedModel", "demo", {"spec": {"quantization": {"candidates": [
            {"method": "gguf", "preset": "Q8_0"}]}}})
        deadline = time.time() + 120
        kills = 0
        while self.model()["status"].get("stableRevision") != "demo-" + "8" * 12 and time.time() < deadline:
            operator = self.operator()
            time.sleep(0.3 + 0.37 * (kills % 7))
            operator.kill()
            kills += 1
            kubectl("-n", self.namespace, "delete", "lease", "--all")
        operator = self.operator()
        self.until("Promoted")
        assert self.model()["status"]["stableRevision"] == "demo-" + "8" * 12
        told(f"a rollout ends the same when the operator is killed {kills} times on the way")

        self.api.delete("QuantizedModel", "demo")
        wait_for("the model is gone", lambda: self.model() is None)
        assert self.left() == [], self.left()
        told("deletion leaves nothing behind")
        self.spares_what_it_does_not_own()
        self.judges_again_when_the_cluster_changes()
        self.fetches_what_lies_elsewhere()
        operator.stop()

    def tells_of_another_who_applies(self):
        """Two who apply the same field: the operator says so, and does not fight."""
        def argo_applies(spec):
            path = self.api.path("Deployment", "demo-fp16") + "?fieldManager=argocd&force=true"
            self.api.call("PATCH", path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "demo-fp16"}, "spec": spec},
                          "application/apply-patch+yaml")

        argo_applies({"replicas": 2})
        conflict = wait_for("ChildConflict", lambda: next(
            (each for each in self.model()["status"]["conditions"] if (each["type"], each["status"], each["reason"]) == ("Stalled", "True", "ChildConflict")), None))
        assert 'conflict with "argocd"' in conflict["message"] and ".spec.replicas" in conflict["message"], conflict
        time.sleep(2)
        assert self.api.get("Deployment", "demo-fp16")["spec"]["replicas"] == 2
        argo_applies({})
        wait_for("the model is Ready again", lambda: self.ready() == "True")
        assert self.api.get("Deployment", "demo-fp16")["spec"]["replicas"] == 1
        told("a conflict with another who applies is told, not forced")

    def judges_again_when_the_cluster_changes(self):
        """A GPU's generation is read from its node; nobody touches the model."""
        node, pool = f"gpu-{os.getpid()}", f"pool-{os.getpid()}"
        labels = {"pool": pool, "nvidia.com/gpu.compute.major": "7", "nvidia.com/gpu.compute.minor": "0"}
        self.api.create("Node", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}})
        self.api.merge("Node", node, {"status": {"allocatable": {"nvidia.com/gpu": "4", "cpu": "8"}}}, "status")
        model = {**MODEL, "metadata": {"name": "gpu"}, "spec": {
            "model": {"source": "file:///models/base"}, "quantization": {"candidates": [{"method": "awq", "bits": 4}]},
            "serving": {"engine": "vllm", "hardware": {"accelerator": "nvidia.com/gpu", "nodeSelector": {"pool": pool}}}}}
        self.api.create("QuantizedModel", model)

        def compatible(status, *texts):
            def check():
                for each in (self.api.get("QuantizedModel", "gpu") or {}).get("status", {}).get("conditions", []):
                    if each["type"] == "Compatible" and each["status"] == status and all(t in each.get("message", "") for t in texts):
                        return each
            return wait_for(f"Compatible={status} with {texts}", check)

        told_all = compatible("False", "SD017 error", "on volta", "SD012 warning", "SD035 note")
        self.api.merge("Node", node, {"metadata": {"labels": {"nvidia.com/gpu.compute.major": "8"}}})
        wait_for("volta is gone", lambda: "volta" not in json.dumps(self.api.get("QuantizedModel", "gpu")["status"]))
        assert not [d for d in self.api.list("Deployment") if "volta" in json.dumps(d)], told_all
        self.api.create("EngineProfile", {"apiVersion": "stepdown.dev/v1alpha1", "kind": "EngineProfile", "metadata": {"name": "vllm"},
                                          "spec": {"support": [{"formats": ["awq"], "hardware": ["ampere"], "verdict": "refused",
                                                                "note": "not in this house", "source": "https://example.com"}]}})
        compatible("False", "SD017 error", "on ampere", "not in this house")
        self.api.delete("EngineProfile", "vllm")
        wait_for("the profile's row is gone", lambda: "this house" not in json.dumps(self.api.get("QuantizedModel", "gpu")["status"]))
        told("a model is judged again when nodes or EngineProfiles change, and Compatible tells every finding")
        self.api.delete("QuantizedModel", "gpu")
        wait_for("the model is gone", lambda: self.api.get("QuantizedModel", "gpu") is None)
        self.api.delete("Node", node)

    def fetches_what_lies_elsewhere(self):
        """A Job alone sees the Secret; the rest mounts what it brought. What has no room is refused before anything begins."""
        spec = {**MODEL["spec"], "model": {"source": "hf://org/llama", "secretRef": {"name": "hub"}}}
        model = {**MODEL, "metadata": {"name": "remote"}, "spec": spec}
        try:
            self.api.create("QuantizedModel", model)
            raise AssertionError("a remote source without storage is taken")
        except RuntimeError as error:
            assert ": 422 " in str(error) and "give storage.size, or storage.claimName" in str(error), error
        self.api.create("QuantizedModel", {**model, "spec": {**spec, "storage": {"size": "1Gi"}}})
        wait_for("it is promoted", lambda: self.api.get("QuantizedModel", "remote").get("status", {}).get("phase") == "Promoted", 60)
        row, = self.api.get("QuantizedModel", "remote")["status"]["sources"]
        assert (row["state"], row["resolved"]) == ("Fetched", "pinned"), row
        jobs = {job["metadata"]["name"]: job["spec"]["template"]["spec"] for job in self.api.list("Job") if job["metadata"]["name"].startswith("remote-")}
        with_secret = [name for name, pod in jobs.items() if any("secret" in volume for volume in pod["volumes"])]
        assert with_secret == [row["fetchJob"]] and len(jobs) > 3, (with_secret, sorted(jobs))
        assert next(name for name in self.world.ended if name.startswith("remote-")) == row["fetchJob"], self.world.ended
        pod = self.api.get("Deployment", "remote-fp16")["spec"]["template"]["spec"]
        assert [mount.get("subPath") for mount in pod["containers"][0]["volumeMounts"]] == [row["place"].split("/", 3)[3]], pod
        assert "Fetching" in {event.get("reason") for event in self.api.list("Event")}
        told("a remote source is fetched by a Job, once, before anything mounts it")
        self.api.delete("QuantizedModel", "remote")
        wait_for("the model is gone", lambda: self.api.get("QuantizedModel", "remote") is None)

    def spares_what_it_does_not_own(self):
        mine = self.api.create("Service", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo"},
                                           "spec": {"selector": {"app": "mine"}, "ports": [{"port": 80}]}})
        labelled = self.api.create("ServiceAccount", {
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "mine", "labels": {"app.kubernetes.io/managed-by": "stepdown",
                                                    "stepdown.dev/model": "demo"}}})
        self.api.create("QuantizedModel", MODEL)
        stalled = wait_for("NameTaken", lambda: next(
            (each for each in self.model().get("status", {}).get("conditions", [])
             if each["type"] == "Stalled" and each["reason"] == "NameTaken"), None))
        assert stalled["status"] == "True" and "kubectl delete service demo" in stalled["message"], stalled
        wait_for("an Event too", lambda: any("Service demo exists" in each.get("note", "") for each in self.api.list("Event")))
        told("a user's Service of that name is left alone, and the model says so")
        self.api.delete("QuantizedModel", "demo")
        wait_for("the model is gone", lambda: self.model() is None)
        for kind, before in (("Service", mine), ("ServiceAccount", labelled)):
            after = self.api.get(kind, before["metadata"]["name"])
            assert after and after["metadata"]["uid"] == before["metadata"]["uid"], (kind, after)
            assert "ownerReferences" not in after["metadata"] and after.get("spec") == before.get("spec"), after
            self.api.delete(kind, before["metadata"]["name"])
        told("deletion spares what others made, labelled or not")

    def ready(self):
        return {each["type"]: each["status"] for each in self.model()["status"]["conditions"]}.get("Ready")


def main():
    work = Path(sys.argv[1])
    suite = Suite(work)
    try:
        suite.run()
    except BaseException:
        print(suite.log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        suite.close()


if __name__ == "__main__":
    main()
