"""oci://, s3:// and hf:// as a user with kubectl sees them: what is fetched, what it says, and what goes on after kill -9."""

import contextlib
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from embedded import Embedded, main, say, wait_for
from hub import TOKEN
from servers import DIGEST, MODEL, Servers, model_of, secret
from test_registry import PASSWORD
from tools import model_manifest


def status_of(cluster, name):
    return (cluster.get("quantizedmodel", name) or {}).get("status", {})


def stalled(cluster, name, reason, seconds=60):
    """The message of Stalled once it has that reason."""
    def check():
        for each in status_of(cluster, name).get("conditions", []):
            if each["type"] == "Stalled" and each["status"] == "True" and each["reason"] == reason:
                return each["message"]
        return None

    message = wait_for(f"{name} stalls: {reason}", check, seconds)
    say(f"{name}: {message}")
    return message


def claim_of(cluster, name):
    return cluster.dir / "volumes" / f"default_{name}-artifacts"


def killed_in_the_middle(cluster, servers):
    """Fetch and operator are killed once some of it is there; another pod of the same Job goes on with it."""
    cluster.apply(model_of("killed", f"oci+http://{servers.slow.host}/org/model:v1"))
    def kept():
        size = 0
        for path in claim_of(cluster, "killed").glob("sources/.partial-*/**/*"):
            with contextlib.suppress(FileNotFoundError):  # parts that are whole are joined meanwhile
                size += path.stat().st_size if path.is_file() else 0
        return size

    wait_for("some of it is there", lambda: kept() > 1_500_000, 60, every=0.02)
    cluster.wait_phase("killed", {"Fetching"}, 10)
    assert cluster.kill(rf"stepdown-engine .*fetch .*{servers.slow.host}") == 1
    assert cluster.kill(r"^stepdown-operator ") == 1
    servers.slow.bytes_per_second = None
    row = wait_for("it is fetched", lambda: next((row for row in status_of(cluster, "killed").get("sources", []) if row["state"] == "Fetched"), None), 90)
    jobs = cluster.get("jobs", selector="stepdown.dev/model=killed")
    assert [job["metadata"]["name"] for job in jobs if "-fetch-" in job["metadata"]["name"]] == [row["fetchJob"]], jobs
    ended = [state["state"]["terminated"] for pod in cluster.get("pods", selector=f"job-name={row['fetchJob']}")
             for state in pod["status"]["containerStatuses"] if state["state"].get("terminated")]
    report = next(json.loads(each["message"]) for each in ended if each["exitCode"] == 0)
    say(f"killed: {report['kept']} bytes kept, {report['fetched']} fetched")
    assert report["kept"] > 1_000_000 and report["kept"] + report["fetched"] == sum(map(len, MODEL.values())), report
    wait_for("its digest", lambda: status_of(cluster, "killed").get("model", {}).get("digest") == DIGEST, 60)
    cluster.kubectl("delete", "qm", "killed", "--timeout=60s")


def promotion(cluster, servers):
    """Each kind of source, with its Secret, to Promoted; what is there is what the server has."""
    cluster.apply(
        model_of("store", servers.s3("models/harbor"), "store"),
        model_of("registry", f"oci+http://{servers.registry.host}/org/harbor:v1", "registry"),
    )
    hub = model_of("hub", f"hf://org/harbor?endpoint=http://{servers.hub.host}", "hub", evaluated=True)
    hub["spec"]["model"]["revision"] = DIGEST
    hub["spec"]["evaluation"].update(dataset=servers.s3("models/prompts/heldout.jsonl"), secretRef={"name": "store"})
    cluster.apply(hub)
    print(cluster.kubectl("get", "qm"), flush=True)
    for name in ("store", "registry", "hub"):
        cluster.wait_phase(name, {"Promoted"}, 180)
        status = status_of(cluster, name)
        assert status["model"]["digest"] == DIGEST, status["model"]
        for row in status["sources"]:
            assert row["state"] == "Fetched" and re.match(r"pvc://\w+-artifacts/sources/[0-9a-f]{16}$", row["place"]), row
        record = cluster.get("quantrevision", status["stableRevision"])
        assert record["spec"]["base"]["uri"] == cluster.get("quantizedmodel", name)["spec"]["model"]["source"], record["spec"]["base"]
    print(cluster.kubectl("get", "qm"), flush=True)
    pods = cluster.get("pods", selector="app.kubernetes.io/name=engine")
    mounted = [volume for pod in pods for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert not mounted, f"an engine has no use for credentials: {mounted}"
    events = cluster.kubectl("get", "events")
    for value in (TOKEN, PASSWORD, servers.store.keys["AWS_SECRET_ACCESS_KEY"]):
        assert value not in events + cluster.kubectl("get", "qm,jobs,pods", "-o", "yaml"), "a secret is told"


def another_environment(cluster, servers):
    """A QuantRevision whose artifact a pipeline pushed to the registry is fetched by its digest and served."""
    record = cluster.get("quantrevision", status_of(cluster, "store")["stableRevision"])
    place = claim_of(cluster, "store") / record["spec"]["artifact"]["uri"].split("/", 3)[3]
    files = {"model.gguf": place.read_bytes()}
    servers.registry.push("org/harbor-q8", "v1", model_manifest(files), files.values())
    spec = {**record["spec"], "artifact": {**record["spec"]["artifact"], "uri": f"oci+http://{servers.registry.host}/org/harbor-q8:v1"}}
    cluster.apply({"apiVersion": record["apiVersion"], "kind": "QuantRevision", "metadata": {"name": "r", "namespace": "default"}, "spec": spec})
    model = model_of("prod", f"oci+http://{servers.registry.host}/org/harbor:v1", "registry", quantization={"fromRevision": "r"})
    model["spec"]["storage"] = {"claimName": "shared"}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared", "namespace": "default"},
                   "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}, model)
    cluster.wait_phase("prod", {"Promoted"}, 120)
    status = status_of(cluster, "prod")
    assert status["rollout"]["stable"] == record["spec"]["artifact"]["digest"] == status["artifact"]["digest"], status
    assert sorted(row["source"].rsplit("/", 1)[1] for row in status["sources"]) == ["harbor-q8:v1", "harbor:v1"], status["sources"]


def refusals(cluster, servers):
    """What is wrong is said where people look: no Secret, a wrong one, a wrong digest, no room."""
    cluster.apply(model_of("no-secret", servers.s3("models/harbor"), "absent"))
    cluster.apply(model_of("wrong-secret", servers.s3("models/harbor"), "wrong"))
    cluster.apply(secret("wrong", {**servers.store.keys, "AWS_SECRET_ACCESS_KEY": "nonsense"}))
    wrong = model_of("wrong-digest", servers.s3("models/harbor"), "store")
    wrong["spec"]["model"]["revision"] = "sha256:" + "0" * 64
    cluster.apply(wrong)
    message = stalled(cluster, "no-secret", "SecretNotFound")
    assert "spec.model.secretRef: there is no Secret absent" in message, message
    assert "store refuses" in stalled(cluster, "wrong-secret", "FetchFailed")
    assert f"what was fetched has digest {DIGEST}, not sha256:000" in stalled(cluster, "wrong-digest", "FetchFailed")
    for name in ("no-secret", "wrong-secret", "wrong-digest"):
        assert not cluster.get("deployments", selector=f"stepdown.dev/model={name}"), f"{name} serves"
    cluster.apply(secret("absent", servers.store.keys))
    wait_for("the Job starts once the Secret is there", lambda: status_of(cluster, "no-secret").get("model", {}).get("digest") == DIGEST, 90)
    homeless = model_of("homeless", servers.s3("models/harbor"), "store")
    del homeless["spec"]["storage"]
    refused = cluster.try_kubectl("apply", "-f", "-", text=json.dumps(homeless))
    assert refused.returncode != 0 and "storage.size" in refused.stderr, refused.stderr
    for name in ("no-secret", "wrong-secret", "wrong-digest"):
        cluster.kubectl("delete", "qm", name, "--timeout=60s")


def copies_go(cluster, servers):
    """A claim that outlives its model holds no copy afterwards, unless a QuantRevision needs it."""
    copies = lambda: sorted(path.name for path in (cluster.dir / "volumes/default_shared/sources").iterdir())
    places = {row["source"].rsplit("/", 1)[1]: row["place"].rsplit("/", 1)[1] for row in status_of(cluster, "prod")["sources"]}
    assert copies() == sorted(places.values()) and len(places) == 2, (copies(), places)
    cluster.kubectl("delete", "qm", "--all", "--timeout=120s")
    assert copies() == [places["harbor-q8:v1"]], ("QuantRevision r names it as its artifact", copies(), places)
    assert [path.name for path in (cluster.dir / "volumes").iterdir()] == ["default_shared"]


def sources():
    """Fetched with credentials, resumed after kill -9, refused with a reason, promoted, and gone with the model."""
    with contextlib.ExitStack() as stack:
        servers = Servers(stack)
        cluster = stack.enter_context(Embedded("sources"))
        cluster.apply(*(secret(name, values) for name, values in servers.secrets().items()))
        for step in (killed_in_the_middle, refusals, promotion, another_environment):
            say(step.__doc__)
            step(cluster, servers)
        copies_go(cluster, servers)


main(sources)
