"""Whatever goes wrong between the operator and its API server, the end is the undisturbed run's."""
import concurrent.futures
import http.client
import json
import os
import signal
import time

from bed import BASE, CHILDREN, LARGE, SMALL, Run, Suite, told, wait_for


def undisturbed(suite):
    with Run(suite, "undisturbed") as run:
        run.operator(os.environ["KUBECONFIG"])
        run.create()
        run.until_settled(SMALL)
        state = run.end_state()
        told(f"undisturbed: {state['stable']}")
        return state


STORMS = {
    "429 and 5xx for a third of all requests": {"refuse": 0.33},
    "a third of all answers to writes lost": {"lose_answer": 0.33},
    "watches cut in mid-line": {"cut_watch_after": 20_000},
    "410 Gone for half of all watches": {"expire_watches": 0.5},
    "all of it": {"refuse": 0.2, "lose_answer": 0.2, "cut_watch_after": 20_000, "expire_watches": 0.3},
}


def storms(suite, wanted):
    faults = suite.proxy.faults
    for number, (name, storm) in enumerate(STORMS.items()):
        faults.told.clear()
        for field, value in storm.items():
            setattr(faults, field, value)
        with Run(suite, f"storm-{number}") as run:
            run.operator(suite.disturbed)
            run.create()
            run.until_settled(SMALL)
            wait_for(f"{name}: the undisturbed run's end, {wanted}", lambda: run.end_state() == wanted, 120)
        assert faults.told, name
        told(f"{name}: the same end ({', '.join(f'{count} x {what}' for what, count in sorted(faults.told.items()))})")
        for field in storm:
            setattr(faults, field, 0)


REFUSALS = {
    "a quota": (("Stalled", "ChildRefused"), (403, "Forbidden", 'deployments.apps "demo-fp16" is forbidden: exceeded quota: small')),
    "a webhook that is down": (("Reconciling", "ChildFailed"), (500, "InternalError", "failed calling webhook: connection refused")),
}


def one_child_refused(suite):
    """The API server takes all but one Deployment: the others are made, the model says so, and an Event does, once."""
    faults = suite.proxy.faults
    for number, (name, ((condition, reason), refusal)) in enumerate(REFUSALS.items()):
        faults.told.clear()
        faults.refused_writes = {"/deployments/demo-fp16": refusal}
        with Run(suite, f"refused-{number}") as run:
            run.operator(suite.disturbed)
            run.create()

            def says():
                return next((each for each in run.status().get("conditions", [])
                             if (each["type"], each["status"], each["reason"]) == (condition, "True", reason)), None)
            told_by = wait_for(f"{condition} with {reason}", says, 60)
            assert refusal[2] in told_by["message"] and "demo-fp16" in told_by["message"], told_by
            wait_for("the gateway's children are there", lambda: run.api.get("Deployment", "demo-gateway") and run.api.get(
                "Service", "demo") and run.api.get("RoleBinding", "demo-gateway"))
            before = sum(faults.told.values())
            wait_for("it is tried again", lambda: sum(faults.told.values()) > before, 40)
            assert sum(faults.told.values()) < 60, faults.told
            assert not run.api.get("Deployment", "demo-fp16")
            faults.refused_writes = {}
            run.until_settled(SMALL)
            events = [each for each in run.api.list("Event") if refusal[2] in each.get("note", "")]
            assert len(events) == 1, [each["note"] for each in events]
        told(f"{name} refuses one Deployment: the others are made, one Event tells, and the rollout goes on when it yields")


def stale_server(suite):
    """An operator that starts against a server that lags: it promotes nothing again and deletes nothing newer."""
    faults = suite.proxy.faults
    with Run(suite, "stale") as run:
        operator = run.operator(suite.disturbed)
        run.create()
        run.until("Canary")
        paths = {run.api.path(kind) for kind in CHILDREN + ["QuantizedModel"]} | {run.api.path("Pod")}
        past = {path: json.dumps(run.api.call("GET", path)).encode() for path in paths}
        run.until_settled(SMALL)
        run.api.merge("QuantizedModel", "demo", {"spec": {"quantization": {"candidates": [{"method": "gguf", "preset": "Q8_0"}]}}})
        run.until_settled(LARGE)
        wait_for("the engine before it is gone", lambda: not run.api.get("Service", f"demo-{SMALL[7:19]}"), 60)
        operator.end(signal.SIGKILL)
        before, epoch = run.versions(), run.status()["rollout"]["epoch"]
        faults.frozen_lists = past
        faults.hang_watches = True
        stale = run.operator(suite.disturbed)
        time.sleep(8)
        assert run.status()["rollout"]["epoch"] == epoch, run.status()["rollout"]
        after = run.versions()
        assert before.items() <= after.items(), f"changed or gone: {set(before.items()) - set(after.items())}"
        faults.frozen_lists = {}
        faults.hang_watches = False
        stale.end(signal.SIGKILL)
        run.operator(suite.disturbed)
        run.until_settled(LARGE)
        wait_for("a Job that was made of old news is gone again",
                 lambda: not (left := run.versions().keys() ^ before.keys()) or print(left, flush=True), every=2)
        told("a server that lags: nothing is promoted again, nothing newer is deleted")


def leader_dies(suite):
    with Run(suite, "leader") as run:
        flags = ("--leader-elect", "--lease-namespace", "leader")
        first = run.operator(suite.disturbed, *flags)
        run.create()
        run.until_settled(SMALL)
        run.operator(suite.disturbed, *flags)
        time.sleep(3)
        first.end(signal.SIGKILL)
        died = time.monotonic()
        generation = run.api.merge("QuantizedModel", "demo", {"spec": {"rollout": {"control": {"percent": 7}}}})["metadata"]["generation"]
        wait_for("the second copy reconciles", lambda: run.status()["observedGeneration"] == generation, 30)
        took = time.monotonic() - died
        assert took <= 20, took
        told(f"the leader is killed: the second copy reconciles after {took:.1f} s")


def cold_list(suite, count=10_000):
    """A start against 10,000 QuantRevisions: memory is bounded, and the model is still reconciled."""
    with Run(suite, "cold") as run:
        def fill(numbers):
            connection = http.client.HTTPSConnection(suite.address[0], int(suite.address[1]), context=suite.tls)
            for number in numbers:
                digest = f"sha256:{number:064x}"
                connection.request("POST", run.api.path("QuantRevision"), json.dumps({
                    "apiVersion": "stepdown.dev/v1alpha1", "kind": "QuantRevision", "metadata": {"name": f"other-{number}"},
                    "spec": {"model": "other", "base": {"digest": BASE, "uri": "file:///models/base"}, "method": "gguf", "preset": "Q8_0",
                             "toolVersion": "test", "artifact": {"uri": f"pvc://c/{number:064x}/model.gguf", "digest": digest, "size": 1},
                             "scores": {"jsonPass": {"value": 0.99, "baseline": 0.99, "delta": 0, "n": 200}}}}),
                    {"Content-Type": "application/json"})
                answer = connection.getresponse()
                assert answer.status == 201, answer.read()
                answer.read()
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(fill, [range(part, count, 4) for part in range(4)]))
        print(f"{count} objects made in {time.monotonic() - started:.0f} s", flush=True)
        operator = run.operator(os.environ["KUBECONFIG"])
        started = time.monotonic()
        run.create()
        run.until("Quantizing", 60)
        first = time.monotonic() - started
        run.until_settled(SMALL)
        peak = operator.peak_mebibytes()
        assert peak < 256, peak
        told(f"{count} objects at start: first reconcile after {first:.1f} s, peak memory {peak} MiB")


def main():
    suite = Suite.of_arguments()
    try:
        wanted = undisturbed(suite)
        one_child_refused(suite)
        storms(suite, wanted)
        stale_server(suite)
        leader_dies(suite)
        cold_list(suite)
    finally:
        suite.close()


main()
