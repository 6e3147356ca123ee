"""Plays what an API server alone lacks: Jobs end with the summaries of their programs, Deployments become available,
the gateway follows the rollout. Runs on a thread until stopped."""
import json
import threading
import time

BASE = "sha256:" + "b" * 64
ARTIFACTS = {"Q8_0": ("sha256:" + "8" * 64, 500), "Q4_K_M": ("sha256:" + "4" * 64, 300)}
JSON_PASS = {BASE: 0.99, "sha256:" + "8" * 64: 0.98, "sha256:" + "4" * 64: 0.95}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def summary_of(job):
    container = job["spec"]["template"]["spec"]["containers"][0]
    args = container["args"]
    if args[0] == "fetch":
        return {"source": args[args.index("--source") + 1], "resolved": "pinned", "path": args[args.index("--out") + 1], "size": 1000}
    if args[0] == "inspect":
        return {"digest": BASE, "format": "gguf", "architecture": "llama", "size": 1000,
                "config": {"contextLength": 4096},
                "memory": {"weights": 1000, "kvPerToken": 2, "activations": 10}}
    if args[0] == "quantize":
        digest, size = ARTIFACTS[args[args.index("--preset") + 1]]
        return {"digest": digest, "path": f"/artifacts/{digest[7:]}/model.gguf", "size": size, "bits": 4.5,
                "toolVersion": "test"}
    if args[0] == "artifacts":
        return {"removed": args.count("--remove"), "bytes": 1}
    artifacts = [mount["subPath"] for mount in container["volumeMounts"] if mount["mountPath"] == "/models/artifact"]
    digest = "sha256:" + artifacts[0][:64] if artifacts else BASE
    measured, fp16 = JSON_PASS[digest], JSON_PASS[BASE]
    return {"metrics": {"jsonPass": {"value": measured, "baseline": fp16, "delta": measured - fp16, "n": 200},
                        "peakMemoryBytes": {"value": 400 if digest != BASE else 1000, "baseline": 1000, "n": 1}},
            "setting": {"engine": "stepdown test"}}


class World:
    def __init__(self, api):
        self.api = api
        self.tripped = {}  # digest → verdict
        self.ended = []  # names of Jobs, in the order they ended
        self.stop = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def close(self):
        self.stop.set()
        self.thread.join()
        if self.error:
            raise self.error

    def run(self):
        while not self.stop.wait(0.1):
            try:
                self.play()
            except Exception as error:  # told by close()
                self.error = error

    def play(self):
        for job in self.api.list("Job"):
            if not job["status"].get("conditions"):
                self.end_job(job)
        for deployment in self.api.list("Deployment"):
            self.make_available(deployment)
        for model in self.api.list("QuantizedModel"):
            if model.get("status", {}).get("rollout"):
                self.follow(model)

    def end_job(self, job):
        name = job["metadata"]["name"]
        if name not in self.ended:
            self.ended.append(name)
        template = job["spec"]["template"]
        self.api.create("Pod", {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name + "-x", "labels": template["metadata"]["labels"],
                         "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name,
                                              "uid": job["metadata"]["uid"], "controller": True}]},
            "spec": template["spec"]})
        container = template["spec"]["containers"][0]["name"]
        self.api.merge("Pod", name + "-x", {"status": {"phase": "Succeeded", "containerStatuses": [{
            "name": container, "image": "i", "imageID": "i", "ready": False, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now(),
                                     "message": json.dumps(summary_of(job))}}}]}}, "status")
        done = [{"type": kind, "status": "True", "lastTransitionTime": now(), "lastProbeTime": now()}
                for kind in ("SuccessCriteriaMet", "Complete")]
        self.api.merge("Job", name, {"status": {"startTime": now(), "completionTime": now(), "succeeded": 1,
                                                "conditions": done}}, "status")

    def make_available(self, deployment):
        replicas = deployment["spec"]["replicas"]
        wanted = {"observedGeneration": deployment["metadata"]["generation"], "replicas": replicas,
                  "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}
        if any(deployment["status"].get(field) != value for field, value in wanted.items()):
            self.api.merge("Deployment", deployment["metadata"]["name"], {"status": wanted}, "status")

    def follow(self, model):
        rollout, verdict = model["status"]["rollout"], model["status"].get("verdict", {})
        digest = rollout.get("digest") or rollout["stable"]
        if digest in self.tripped and verdict.get("state") != "Tripped":
            wanted = {"digest": digest, "epoch": rollout["epoch"], "state": "Tripped", "reason": "ErrorRate",
                      "detectedBy": "ceiling", "badAnswers": 6, "msTripToFp16": 3,
                      "answers": {"candidate": 40, "control": 760}, "errors": {"candidate": 6, "control": 0}}
            healthy = "False"
        elif verdict.get("epoch") != rollout["epoch"] and (verdict.get("state") != "Tripped" or rollout.get("digest") not in (None, "", verdict["digest"])):
            wanted = {"digest": digest, "epoch": rollout["epoch"], "state": "Watching", "stepAnswers": 400,
                      "answers": {"candidate": 400, "control": 400}, "errors": {"candidate": 1, "control": 2}}
            healthy = "True"
        else:
            return
        self.api.apply_status("QuantizedModel", model["metadata"]["name"], {
            "apiVersion": "stepdown.dev/v1alpha1", "kind": "QuantizedModel",
            "metadata": {"name": model["metadata"]["name"]},
            "status": {"verdict": wanted,
                       "conditions": [{"type": "CanaryHealthy", "status": healthy, "reason": wanted["state"],
                                       "lastTransitionTime": now()}]}}, "stepdown-gateway")
