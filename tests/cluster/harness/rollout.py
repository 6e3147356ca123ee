"""A rollout of the example's model in a cluster, disturbed as a test says, and its end."""

import time

from .cluster import say, wait_for
from .installation import NAMESPACE

from embedded import Load, at_rest, end_state, harbor_model


def model(name, **changes):
    made = harbor_model(name, **changes)
    made["spec"]["model"]["source"] = "pvc://harbor/model"
    made["spec"]["evaluation"]["dataset"] = "pvc://harbor/heldout.jsonl"
    made["spec"]["storage"] = {"claimName": "artifacts"}
    made["spec"]["rollout"]["steps"] = [{"weight": weight, "hold": "8s"} for weight in (5, 25, 100)]
    return made


def claim_artifacts(cluster):
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "artifacts", "namespace": "default"},
                   "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "artifacts"}})


def run(cluster, wanted, faults, repeats=0):
    """From apply to Promoted and at rest under load, with the faults of each phase as it begins; gives the end state.
    `faults`: (phase, what to do with the cluster), each done once; `repeats`: how often a client tries a broken connection again."""
    name, pending = wanted["metadata"]["name"], list(faults)
    cluster.apply(wanted)
    load = None
    try:
        end = time.monotonic() + 400
        while (phase := cluster.phase(name)) != "Promoted" or pending:
            assert time.monotonic() < end, f"{phase}; still to come: {[at for at, _ in pending]}"
            if phase in ("Canary", "Promoted") and load is None:
                load = Load(cluster.service_address(name), name, repeats=repeats).__enter__()
            for fault in [each for each in pending if each[0] == phase][:1]:
                pending.remove(fault)
                fault[1](cluster)
            time.sleep(0.1)
        wait_for("the end state", lambda: at_rest(cluster, name), 180, every=1)
    finally:
        if load:
            load.__exit__(None, None, None)
    assert not load.failures, f"{len(load.failures)} of {load.answers} answers failed: {load.failures[:5]}"
    say(f"Promoted with {load.answers} answers, none failed; {len(load.broken)} connections broke and were tried again")
    return end_state(cluster, name)


def clear(cluster, name):
    cluster.kubectl("delete", "qm", name, "--timeout=60s")
    cluster.kubectl("delete", "quantrevisions", "--all", "--timeout=60s")
    for kind in ("deployments", "services", "jobs", "pods", "poddisruptionbudgets"):
        wait_for(f"no {kind}", lambda kind=kind: not cluster.get(kind, selector=f"stepdown.dev/model={name}"), 90)


def leader(cluster):
    """The pod whose operator holds the Lease."""
    lease = cluster.get("lease", "stepdown-operator", namespace=NAMESPACE) or {}
    return lease.get("spec", {}).get("holderIdentity", "").split("_")[0]


def same(found, undisturbed):
    differs = {key: (found[key], undisturbed[key]) for key in undisturbed if found[key] != undisturbed[key]}
    assert not differs, f"found, undisturbed: {differs}"
