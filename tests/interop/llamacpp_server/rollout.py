"""A rollout whose servers are llama.cpp's: FP16 and the candidate, from the same QuantizedModel. Usage: rollout.py PROGRAM"""
import json
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "examples/harbor-analytics")]
from embedded import BIN, HARBOR, Embedded, Load, harbor_model, main, say, wait_for
from harbor import faults

NAME = "llamacpp"
IMAGE = "ghcr.io/ggml-org/llama.cpp"


class WithLlamaServer(Embedded):
    def up_arguments(self):
        return [f"--image={IMAGE}={PROGRAM}"]


def arguments(cluster, deployment):
    container = cluster.get("deployment", deployment)["spec"]["template"]["spec"]["containers"][0]
    return container["image"], container["args"]


def promoted_and_rolled_back():
    """llama-server carries FP16 and a Q8_0 candidate to promotion without a failed answer; a broken artifact is rolled back."""
    with WithLlamaServer(NAME) as cluster:
        base = cluster.dir / "f16.gguf"
        subprocess.run([BIN / "stepdown-engine", "convert", "--model", HARBOR / "model", "--out", base], check=True, capture_output=True)
        model = harbor_model(NAME, model__source=f"file://{base}", serving__engine="llama.cpp", kvCache__type="int8",
                             quantization__candidates=[{"method": "gguf", "preset": "Q8_0"}])
        model["spec"]["rollout"]["steps"] = [{"weight": 50, "hold": "3s"}, {"weight": 100, "hold": "2s"}]
        cluster.apply(model)
        cluster.wait_phase(NAME, {"Canary", "Promoted"}, 240)
        candidate = cluster.get("quantizedmodel", NAME)["status"]["rollout"]["routes"][-1]["service"]
        image, given = arguments(cluster, candidate)
        assert image.startswith(IMAGE) and "--cache-type-k" in given and "q8_0" in given, (image, given)
        image, given = arguments(cluster, f"{NAME}-fp16")
        assert image.startswith(IMAGE) and "--cache-type-k" not in given, (image, given)
        address = wait_for("the Service", lambda: cluster.get("service", NAME) and cluster.service_address(NAME))
        with Load(address, NAME) as load:
            cluster.wait_phase(NAME, {"Promoted"}, 120)
            before = load.answers
            wait_for("20 answers after the promotion", lambda: load.answers >= before + 20, 60)
        assert not load.failures, load.failures[:5]
        routes = {route for _, route in load.routes}
        assert "candidate" in routes and routes & {"stable", "fp16"}, routes
        verdict = cluster.get("quantizedmodel", NAME)["status"]["verdict"]
        say(f"promoted on llama-server: {load.answers} answers, none failed; routes {sorted(filter(None, routes))}; verdict {verdict['state']}")
        rolled_back(cluster, model, address)


def rolled_back(cluster, model, address):
    status = cluster.get("quantizedmodel", NAME)["status"]
    row = next(each for each in status["candidates"] if each["state"] == "Chosen")
    claim = cluster.dir / "volumes" / f"default_{NAME}-artifacts"
    good = claim / row["uri"].split("/", 3)[3]
    broken = cluster.dir / "broken.gguf"
    faults.break_model(good, "nonfinite", broken)
    told = json.loads(subprocess.run([BIN / "stepdown-engine", "inspect", "--model", broken, "--json", "--digest-only"],
                                     check=True, capture_output=True, text=True).stdout)
    place = claim / told["digest"].removeprefix("sha256:")
    place.mkdir()
    shutil.move(broken, place / "model.gguf")
    record = cluster.get("quantrevision", status["stableRevision"])
    spec = record["spec"]
    spec["artifact"] = {"uri": f"pvc://{NAME}-artifacts/{place.name}/model.gguf", "digest": told["digest"],
                        "size": (place / "model.gguf").stat().st_size}
    cluster.apply({"apiVersion": record["apiVersion"], "kind": "QuantRevision", "metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
    promotion = json.loads(json.dumps(model))
    promotion["spec"]["quantization"] = {"fromRevision": "bad"}
    del promotion["spec"]["evaluation"]
    cluster.kubectl("replace", "-f", "-", text=json.dumps(promotion))
    with Load(address, NAME) as load:
        cluster.wait_phase(NAME, {"RolledBack"}, 180)
        time.sleep(2)
    last = cluster.get("quantizedmodel", NAME)["status"]["lastRollback"]
    assert last["digest"] == told["digest"], last
    assert not load.failures, load.failures[:5]
    say(f"rolled back: {load.answers} answers, none failed; {last['reason']} by {last.get('detectedBy')} after {last.get('badAnswers')} bad answers")


PROGRAM = sys.argv[1]
main(promoted_and_rolled_back)
