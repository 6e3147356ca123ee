"""Models from a registry, an object store and the Hub in a real cluster: fetched by Jobs that pass the restricted standard,
with Secrets that a kubelet mounts, resumed by the next pod, and served; of one the engines start from a disk of their node."""

import contextlib
import json
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "e2e/sources")]
from harness import grants, isolation
from harness.cluster import Cluster, prepare, say, wait_for
from harness.installation import ENFORCED, NAMESPACE, NONROOT, claim, install, load_images, volume

prepare("node")
os.environ["STEPDOWN_SERVERS_ADDRESS"] = isolation.NODE_ADDRESS
from embedded import Load, main
from servers import DIGEST, MODEL, TOKEN, Servers, model_of, secret

OPERATOR = f"system:serviceaccount:{NAMESPACE}:stepdown"
MODELS = ("registry", "store", "hub")


def make_rooms(cluster, names):
    """A volume that the claim of one model alone takes, for each."""
    (cluster.dir / "volumes").mkdir()
    for path in (cluster.dir, cluster.dir / "volumes"):
        path.chmod(0o755)
    for name in names:
        folder = cluster.dir / "volumes" / name
        folder.mkdir()
        shutil.chown(folder, NONROOT, NONROOT)
        made = volume(cluster, name, "ReadWriteOnce")
        made["spec"]["claimRef"] = {"namespace": "default", "name": f"{name}-artifacts"}
        cluster.apply(made)


def make_disk(cluster):
    """A volume of type local, which a kubelet gives to the pods' group: the claim `disk`."""
    folder = cluster.dir / "volumes/disk"
    folder.mkdir()
    made = volume(cluster, "disk", "ReadWriteMany")
    del made["spec"]["hostPath"]
    nodes = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name for node in cluster.nodes]}
    made["spec"].update(local={"path": str(folder)}, nodeAffinity={"required": {"nodeSelectorTerms": [{"matchExpressions": [nodes]}]}})
    cluster.apply(made, claim("disk", "ReadWriteMany"))
    return folder


def conditions(cluster, name):
    status = (cluster.get("quantizedmodel", name) or {}).get("status", {})
    return {each["type"]: each for each in status.get("conditions", [])}


def stalled(cluster, name, reason):
    def check():
        found = conditions(cluster, name).get("Stalled", {})
        return found.get("message") if (found.get("status"), found.get("reason")) == ("True", reason) else None

    message = wait_for(f"{name} stalls: {reason}", check, 90)
    say(f"{name}: {message}")
    return message


def killed_in_the_middle(cluster, servers):
    """The fetch pod's program is killed once some of it is there; the next pod of that Job goes on."""
    cluster.apply(model_of("killed", f"oci+http://{servers.slow.host}/org/model:v1"))
    kept = lambda: sum(path.stat().st_size for path in (cluster.dir / "volumes/killed").glob("sources/.partial-*/**/*") if path.is_file())
    wait_for("some of it is there", lambda: kept() > 1_500_000, 60, every=0.02)
    [pod] = cluster.get("pods", selector="stepdown.dev/model=killed")
    assert cluster.kill(pod)
    servers.slow.bytes_per_second = None
    row = wait_for("it is fetched", lambda: next((row for row in cluster.get("qm", "killed")["status"].get("sources", []) if row["state"] == "Fetched"), None), 90)
    pods = [pod for pod in cluster.get("pods", selector=f"job-name={row['fetchJob']}")]
    assert sorted(pod["status"]["phase"] for pod in pods) == ["Failed", "Succeeded"], pods
    whole = sum(map(len, MODEL.values()))
    assert servers.slow.sent < whole + 1_000_000, f"{servers.slow.sent} bytes were sent for {whole}"
    say(f"killed in the middle: {servers.slow.sent} bytes sent of {whole}, by two pods of one Job")
    cluster.kubectl("delete", "qm", "killed", "--timeout=60s")


def refusals(cluster, servers):
    """What is wrong is said where people look, as kubelet and Job controller word it: no Secret, a wrong one, a wrong digest."""
    cluster.apply(secret("wrong", {**servers.store.keys, "AWS_SECRET_ACCESS_KEY": "nonsense"}))
    wrong_digest = model_of("wrong-digest", servers.s3("models/harbor"), "store")
    wrong_digest["spec"]["model"]["revision"] = "sha256:" + "0" * 64
    cluster.apply(model_of("no-secret", servers.s3("models/harbor"), "absent"), model_of("wrong-secret", servers.s3("models/harbor"), "wrong"), wrong_digest)
    assert "spec.model.secretRef: there is no Secret absent" in stalled(cluster, "no-secret", "SecretNotFound")
    assert "store refuses" in stalled(cluster, "wrong-secret", "FetchFailed")
    assert f"what was fetched has digest {DIGEST}, not sha256:000" in stalled(cluster, "wrong-digest", "FetchFailed")
    print(cluster.kubectl("get", "qm"), flush=True)
    cluster.apply(secret("absent", servers.store.keys))
    wait_for("the Job starts once the Secret is there", lambda: cluster.get("qm", "no-secret")["status"].get("model", {}).get("digest") == DIGEST, 180, every=1)
    for name in ("no-secret", "wrong-secret", "wrong-digest"):
        cluster.kubectl("delete", "qm", name, "--timeout=60s")


def promotion(cluster, servers):
    """Each kind of source, with its Secret, to answers; what is evaluated may lie elsewhere, with a Secret of its own."""
    hub = model_of("hub", f"hf://org/harbor?endpoint=http://{servers.hub.host}", "hub", evaluated=True)
    hub["spec"]["model"]["revision"] = DIGEST
    hub["spec"]["evaluation"].update(dataset=servers.s3("models/prompts/heldout.jsonl"), secretRef={"name": "store"})
    store = model_of("store", servers.s3("models/harbor"), "store")
    store["spec"]["storage"]["nodeCache"] = {"claimName": "disk", "size": "1Gi"}
    cluster.apply(hub, store,
                  model_of("registry", f"oci+http://{servers.registry.host}/org/harbor:v1", "registry"))
    for name in MODELS:
        cluster.wait_phase(name, {"Promoted"}, 300)
        assert cluster.get("qm", name)["status"]["model"]["digest"] == DIGEST
        with Load(cluster.service_address(name), name) as load:
            wait_for(f"{name} answers", lambda load=load: load.answers >= 5, 60)
        assert not load.failures, load.failures[:5]
    print(cluster.kubectl("get", "qm,jobs,pods"), flush=True)
    for pod in cluster.get("pods", selector="app.kubernetes.io/name=engine"):
        assert not [each for each in pod["spec"]["volumes"] if "secret" in each], "an engine has no use for credentials"
    told = cluster.kubectl("get", "events") + cluster.kubectl("get", "qm,jobs,pods", "-o", "yaml")
    for value in (TOKEN, servers.secrets()["registry"]["password"], servers.store.keys["AWS_SECRET_ACCESS_KEY"]):
        assert value not in told, "a secret is told"


def node_cache(cluster, folder):
    """An engine that starts again on a node finds there what it served, and answers go on meanwhile."""
    engines = lambda: {pod["metadata"]["name"]: pod for pod in cluster.get("pods", selector="app.kubernetes.io/name=engine,stepdown.dev/model=store")
                       if "deletionTimestamp" not in pod["metadata"]}
    copies = {path.parent.name for path in folder.glob("*/model")}
    stable = cluster.get("qm", "store")["status"]["rollout"]["stable"]
    assert stable.removeprefix("sha256:") in copies and DIGEST.removeprefix("sha256:") in copies, copies
    before = set(engines())
    for name in before:
        cluster.kubectl("delete", "pod", name, "--timeout=120s")
    ready = lambda pod: all(each["ready"] for each in pod["status"].get("containerStatuses", [{"ready": False}]))
    others = lambda: [name for name, pod in engines().items() if name not in before and ready(pod)]
    new = wait_for("other pods serve", lambda: len(found := others()) == len(before) and found, 120, every=1)
    for name in new:
        log = cluster.kubectl("logs", name, "-c", "copy-to-node")
        told = json.loads(log[log.index("{\n"):])
        assert told["cached"] and told["wasThere"], told
    say(f"{len(copies)} copies on the node; {', '.join(new)} found theirs")


def nobody_was_refused(cluster):
    """Neither operator nor gateway asked for what RBAC refuses, and the operator for no Secret but its own."""
    events = cluster.audit()
    refused = grants.refused(events, r"^system:serviceaccount:(stepdown-system|default):")
    assert not refused, "\n".join(refused)
    read = {grant for grant in grants.used(events, OPERATOR) if grant.resource == "secrets"}
    assert {grant.name for grant in read} == {"stepdown-webhook-tls"}, read
    say("RBAC: no request refused, and no Secret of a user read")


def sources():
    """From oci://, s3:// and hf:// to Promoted in a cluster, with kill -9, refusals and Secrets on the way."""
    with contextlib.ExitStack() as stack:
        servers = Servers(stack)
        cluster = stack.enter_context(Cluster("node"))
        load_images(cluster, "one")
        cluster.kubectl("label", "namespace", "default", ENFORCED)
        make_rooms(cluster, ("killed", "no-secret", "wrong-secret", "wrong-digest", *MODELS))
        disk = make_disk(cluster)
        install(cluster, "one")
        cluster.apply(*(secret(name, values) for name, values in servers.secrets().items()))
        for step in (killed_in_the_middle, refusals, promotion):
            say(step.__doc__)
            step(cluster, servers)
        say(node_cache.__doc__)
        node_cache(cluster, disk)
        cluster.kubectl("delete", "qm", "--all", "--timeout=120s")
        nobody_was_refused(cluster)


main(sources)
