"""A server of each kind of source with the example's model on it, and QuantizedModels that name them."""

from embedded import HARBOR, harbor_model, short_dataset
from hub import TOKEN, hub_of
from store import REGION, ObjectStore
from test_registry import PASSWORD, USER, Registry
from tools import artifact_digest, model_manifest, registry_of, serving

MODEL = {path.name: path.read_bytes() for path in (HARBOR / "model").iterdir()}
DIGEST = artifact_digest(MODEL)
QUICK = {"quantization__candidates": [{"method": "gguf", "preset": "Q8_0"}], "rollout__minAnswers": 0, "rollout__steps": [{"weight": 100, "hold": "1s"}]}


class Servers:
    """One of each kind that wants credentials, and a registry that is slow."""

    def __init__(self, stack):
        self.store = ObjectStore()
        stack.callback(self.store.close)
        self.store.s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
        for name, data in MODEL.items():
            self.store.s3.put_object(Bucket="models", Key="harbor/" + name, Body=data, ChecksumAlgorithm="SHA256")
        self.store.s3.put_object(Bucket="models", Key="prompts/heldout.jsonl", Body=short_dataset().read_bytes())
        self.store.lock()
        self.registry = Registry()
        stack.callback(self.registry.close)
        self.registry.push("org/harbor", "v1", model_manifest(MODEL), MODEL.values())
        self.hub = stack.enter_context(serving(hub_of({"models/org/harbor": {"files": {"main": MODEL}, "gated": True}})))
        self.slow = stack.enter_context(serving(registry_of(MODEL)))
        self.slow.bytes_per_second = 2_000_000

    def s3(self, path):
        return f"s3://{path}?endpoint={self.store.endpoint}"

    def secrets(self):
        return {"store": self.store.keys, "registry": {"username": USER, "password": PASSWORD}, "hub": {"HF_TOKEN": TOKEN}}


def secret(name, values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "stringData": values}


def model_of(name, source, secret_name=None, evaluated=False, **changes):
    model = harbor_model(name, **{**QUICK, **changes})
    model["spec"]["model"] = {"source": source, **({"secretRef": {"name": secret_name}} if secret_name else {})}
    if not evaluated:
        del model["spec"]["evaluation"]
    return model
