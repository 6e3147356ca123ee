"""The operator is killed after each of the writes that a model's life consists of, before it hears that it was carried out.

A life: promoted, rolled back by a trip, promoted with what Git says next, deleted. A write is known by what it says (a child,
a state of the status, an Event), not by its number. Lives go on until every write that any of them showed was the last of an
operator, and each must end at every station as the undisturbed one did, with no Job run again and no child left.
"""
import json
import os
import re
import signal
import sys
import threading
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
from bed import LARGE, SMALL, Run, Suite, told, wait_for

MOST_LIVES = 12


def step(method, path, body):
    """What a write does, whatever its time and its hashes are."""
    body = json.loads(body) if body else {}
    kind, name = (re.search(r"/namespaces/[^/]+/(.*)", path).group(1).split("/") + [""])[:2]
    name = re.sub(r"-[0-9a-f]{8}$", "", name or body.get("metadata", {}).get("name", ""))
    if kind == "events":
        return f"tell {body.get('reason')}: {body.get('note', '')[:40]}"
    if path.endswith("/status"):
        status = body["status"]
        rows = ",".join(row["state"] + "-" * bool(row.get("collected")) for row in status.get("candidates", []))
        weight = (status.get("rollout") or {}).get("weight", "")
        unwell = next((each["reason"] for each in status.get("conditions", []) if each["type"] == "Ready"), "")
        return f"status {status.get('phase')} {unwell} {weight} {rows}"
    if method == "POST" and kind == "jobs":
        name += " " + task(body["spec"]["template"]["spec"]["containers"][0])
    return f"{method} {kind}/{name}"


def task(container):
    """Tells Jobs of one kind apart."""
    text = re.sub(r"\b[0-9a-f]{8}\b", "", json.dumps([container["args"], container["volumeMounts"]]))
    return f"{zlib.crc32(text.encode()):08x}"


class Killer:
    """Ends the operator at steps it has not died at yet, never twice in a row, and starts the next."""

    def __init__(self, run, died_at):
        self.run, self.died_at = run, died_at
        self.steps, self.kills, self.just_killed = [], 0, False
        self.lock = threading.Lock()

    def wrote(self, *write):
        with self.lock:
            what = step(*write)
            self.steps.append(what)
            if what in self.died_at or self.just_killed:
                self.just_killed = False
                return False
            self.died_at.add(what)
            self.kills += 1
            self.just_killed = True
            self.run.operators[-1].end(signal.SIGKILL)
            self.run.operator(self.run.suite.disturbed)
            return True


def life(suite, name, arrive, died_at=None):
    """`arrive(at, look)` is called at each station. Gives the steps, and how often the operator was killed."""
    with Run(suite, name) as run:
        killer = Killer(run, died_at)
        suite.proxy.faults.after_write = killer.wrote if died_at is not None else lambda *write: killer.steps.append(step(*write))
        try:
            run.operator(suite.disturbed)
            for at, _ in enumerate(stations(run)):
                arrive(at, lambda: look(run))
        finally:
            suite.proxy.faults.after_write = None
        return killer.steps, killer.kills


def look(run):
    """What must be the same in each life: what is there, and which Jobs have run."""
    jobs = sorted(re.sub(r"-[0-9a-f]{8}$", "", job) for job in run.world.ended)
    return {**run.end_state(), "jobs": jobs}


def stations(run):
    run.create()
    run.until_settled(SMALL)
    yield
    run.world.tripped[SMALL] = True
    run.until("RolledBack")
    yield
    run.api.merge("QuantizedModel", "demo", {"spec": {"quantization": {"candidates": [{"method": "gguf", "preset": "Q8_0"}]}}})
    run.until_settled(LARGE)
    yield
    run.api.delete("QuantizedModel", "demo")
    wait_for("the model is gone", lambda: run.model() is None, 60)
    wait_for("nothing is left", lambda: not any(run.children().values()), 60)


class Expected:
    """The stations of the undisturbed life, and whether another life arrives at them."""

    def __init__(self):
        self.stations = []

    def keep(self, _, look):
        """Once nothing changes any more."""
        last, since = look(), time.monotonic()
        while time.monotonic() - since < 2:
            if (now := look()) != last:
                last, since = now, time.monotonic()
            time.sleep(0.2)
        self.stations.append(last)

    def compare(self, at, look):
        try:
            wait_for("", lambda: look() == self.stations[at], 20)
        except AssertionError:
            found, expected = look(), self.stations[at]
            differs = {key: (found[key], expected[key]) for key in expected if found[key] != expected[key]}
            raise AssertionError(f"station {at}: found, expected: {differs}") from None


def main():
    suite = Suite.of_arguments()
    try:
        expected = Expected()
        steps, _ = life(suite, "undisturbed-life", expected.keep)
        told(f"a life of {len(steps)} writes, {len(set(steps))} steps")
        died_at, kills = set(), 0
        for number in range(MOST_LIVES):
            more, killed = life(suite, f"life-{number}", expected.compare, died_at)
            kills += killed
            print(f"life {number}: {len(more)} writes, {killed} kills", flush=True)
            if not killed:
                break
        missed = set(steps) - died_at
        assert not missed and not killed, f"never the last write of an operator: {missed}"
        if os.environ.get("STEPDOWN_TELL"):
            print("\n".join(sorted(died_at)))
        told(f"killed after each of {len(died_at)} steps, {kills} kills in {number + 1} lives: every station is the undisturbed life's")
    finally:
        suite.close()


main()
