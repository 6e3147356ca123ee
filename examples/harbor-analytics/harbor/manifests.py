"""The manifests a GitOps pipeline would hold: the model as committed, and promotions of recorded revisions."""

import copy
import json

from harbor.batch import HERE
from harbor.cluster import Cluster


def quantized_model(cluster: Cluster, hold: str) -> dict:
    """quantizedmodel.yaml with this folder's path, and holds of the length asked for."""
    text = (HERE / "quantizedmodel.yaml").read_text().replace("${HARBOR}", str(HERE))
    model = json.loads(cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=text))
    if model["spec"]["evaluation"]["suites"][0]["schema"] != json.loads((HERE / "schema.json").read_text()):
        raise RuntimeError("quantizedmodel.yaml and schema.json ask for different answers: make them equal")
    for step in model["spec"]["rollout"]["steps"]:
        step["hold"] = hold
    return model


def promotion(model: dict, revision: str) -> dict:
    promoted = copy.deepcopy(model)
    promoted["spec"]["quantization"] = {"fromRevision": revision}
    return promoted


def false_revision(name: str, status: dict, copied: dict, artifact: dict) -> dict:
    """A record whose digest is right and whose scores are not: it claims FP16's own."""
    method, preset = copied["name"].split("/")
    base = status["model"]
    return {
        "apiVersion": "stepdown.dev/v1alpha1",
        "kind": "QuantRevision",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "base": {key: base[key] for key in ("digest", "tokenizerDigest", "templateDigest") if key in base},
            "method": method,
            "preset": preset,
            "artifact": artifact,
            "scores": status["baseline"]["metrics"],
        },
    }
