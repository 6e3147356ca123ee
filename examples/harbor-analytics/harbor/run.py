"""The whole example, once the programs are built: YAML in, a verified model out, three bad revisions stopped.

  python3 -m harbor.run --bin DIR [--docs N] [--hold 10s] [--keep]
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from harbor import batch, engine, faults, generate, manifests, processes, rollout
from harbor.client import Failures, GaveUp
from harbor.cluster import Cluster
from harbor.load import Load
from harbor.report import Nightly, Rollback, Summary

BASELINE_SEQUENCES = 2  # what the memory budget leaves FP16, as on the guide's one GPU
LOAD_CONCURRENCY = 4


def say(text: str):
    print(f"\n== {text}", file=sys.stderr, flush=True)


class Example:
    def __init__(self, binaries: Path, out: Path, documents: int, hold: str):
        self.binaries, self.out, self.documents, self.hold = binaries.resolve(), out.resolve(), documents, hold
        self.logs, self.pdfs = self.out / "logs", self.out / "pdfs"
        self.failures = Failures()
        self.tainted = 0

    def prepare(self):
        """A fresh state; PDFs are kept when they are the ones asked for."""
        for name in ("bad", "results", "logs"):
            shutil.rmtree(self.out / name, ignore_errors=True)
        self.logs.mkdir(parents=True)
        if len(list(self.pdfs.glob("*.pdf"))) != self.documents or not (self.pdfs / "expected.jsonl").exists():
            shutil.rmtree(self.pdfs, ignore_errors=True)
            generate.write_pdfs(self.pdfs, self.documents, generate.HELD_OUT_SEED)

    def run(self, cluster: Cluster) -> Summary:
        say("apply quantizedmodel.yaml: Q8_0, Q4_K_M and Q3_K_S against FP16, then 5, 25, 100 % of the traffic")
        model = manifests.quantized_model(cluster, self.hold)
        self.context = model["spec"]["serving"]["contextLength"]
        cluster.apply(json.dumps(model))
        (self.out / "watch.txt").unlink(missing_ok=True)
        with cluster.watching("quantizedmodel", rollout.NAME, self.out / "watch.txt"):
            return self.follow(cluster, model)

    def follow(self, cluster: Cluster, model: dict) -> Summary:
        rollout.serving(cluster, seconds=600)
        with self.load(cluster) as load:
            status = rollout.promoted(cluster, seconds=600)
        self.tainted += load.tainted
        self.copy_reports(cluster, status)

        say(f"the nightly batch: {self.documents} PDFs at FP16 and at the winner, under one memory budget")
        fp16, at_equal_concurrency, winner = self.nightly(cluster, status)

        rollbacks, bad = [], []
        for fault in faults.FAULTS:
            say(f"a bad revision ({fault}) is promoted under load; its record claims FP16's own scores")
            digest, rolled_back = self.promote_bad(cluster, model, status, fault)
            bad.append(digest)
            rollbacks.append(rolled_back)
        blocked = cluster.get("quantizedmodel", rollout.NAME)["status"].get("blocked", [])
        return Summary(
            fp16=fp16, winner_at_equal_concurrency=at_equal_concurrency, winner=winner,
            candidates=rollout.candidate_table(status), rollbacks=rollbacks,
            failed_answers=self.failures.total, tainted_answers=self.tainted,
            false_rollbacks=sum(one["digest"] not in bad for one in blocked),
        )

    def load(self, cluster: Cluster) -> Load:
        return Load(cluster.service_url(rollout.NAME), rollout.NAME, self.pdfs, LOAD_CONCURRENCY, self.failures)

    def copy_reports(self, cluster: Cluster, status: dict):
        for one in [status["baseline"], *status["candidates"]]:
            if one.get("report"):
                page = cluster.host_path(one["report"]).with_suffix(".html")
                shutil.copy(page, self.out / f"report-{one['name'].replace('/', '-')}.html")

    def nightly(self, cluster: Cluster, status: dict) -> tuple[Nightly, Nightly, Nightly]:
        """FP16, then the winner with as many sequences, then with as many as the memory has room for."""
        base, winner = manifests.HERE / "model", rollout.winner(status)
        memory = engine.inspect(self.binaries, base)["memory"]
        budget = engine.budget_for(memory, BASELINE_SEQUENCES, self.context)
        fp16 = self.one_nightly("fp16", base, BASELINE_SEQUENCES)
        if winner is None:
            return fp16, fp16, fp16
        artifact = engine.weights_file(cluster.host_path(winner["uri"]))
        sequences = engine.sequences_within(engine.inspect(self.binaries, artifact)["memory"], budget, self.context)
        print(f"budget {budget / 1e6:.2f} MB: FP16 fits {BASELINE_SEQUENCES} sequences, {winner['name']} {sequences} "
              "(predicted)", file=sys.stderr)
        equal = self.one_nightly(winner["name"], artifact, BASELINE_SEQUENCES)
        if sequences == BASELINE_SEQUENCES:  # its answers are there already
            return fp16, equal, equal
        return fp16, equal, self.one_nightly(winner["name"], artifact, sequences)

    def one_nightly(self, method: str, model: Path, sequences: int) -> Nightly:
        slug = f"{method.replace('/', '-')}-{sequences}"
        log = self.logs / f"nightly-{slug}.log"
        with engine.serving(self.binaries, model, rollout.NAME, sequences, self.context, log) as (url, process):
            def one_batch(constrained: bool):
                mode = "constrained" if constrained else "free"
                return batch.run(url, rollout.NAME, self.pdfs, self.out / "results" / f"{slug}-{mode}.jsonl", sequences,
                                 constrained, f"{method} {mode}", self.failures)

            constrained, free = one_batch(True), one_batch(False)
            peak = processes.peak_memory_bytes(process.pid)
        return Nightly(method=method, json_pass=free.json_pass, json_pass_constrained=constrained.json_pass,
                       field_accuracy=constrained.field_accuracy, docs_per_hour=constrained.docs_per_hour,
                       sequences=sequences, peak_memory_bytes=peak,
                       milliseconds_reading=constrained.milliseconds_reading)

    def promote_bad(self, cluster: Cluster, model: dict, status: dict, fault: str) -> tuple[str, Rollback]:
        name, artifact = f"{rollout.NAME}-bad-{fault}", self.bad_artifact(cluster, rollout.smallest(status), fault)
        with self.load(cluster) as load:
            cluster.apply(json.dumps(manifests.false_revision(name, status, rollout.smallest(status), artifact)))
            cluster.apply(json.dumps(manifests.promotion(model, name)))
            last = rollout.rolled_back(cluster, artifact["digest"], seconds=300)["lastRollback"]
            time.sleep(1)  # clients go on: what they see after the rollback counts too
        self.tainted += load.tainted
        return artifact["digest"], Rollback(
            fault=fault, detected_by=last["detectedBy"], bad_answers=last["badAnswers"],
            ms_trip_to_fp16=last["msTripToFp16"], ms_since_first_bad=last["msSinceFirstBad"])

    def bad_artifact(self, cluster: Cluster, good: dict, fault: str) -> dict:
        """Breaks a good artifact and lays the result beside it, under its true digest."""
        broken = self.out / "bad" / fault / "model.gguf"
        faults.break_model(engine.weights_file(cluster.host_path(good["uri"])), fault, broken)
        digest = engine.inspect(self.binaries, broken)["digest"]
        uri = good["uri"].replace(good["digest"].removeprefix("sha256:"), digest.removeprefix("sha256:"))
        place = cluster.host_path(uri)
        folder = place.parent if place.suffix == ".gguf" else place
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(broken, folder / "model.gguf")
        return {"uri": uri, "digest": digest, "size": broken.stat().st_size}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built programs")
    parser.add_argument("--out", type=Path, default=batch.HERE / "out")
    parser.add_argument("--docs", type=int, default=200, help="incident reports in the nightly batch (default 200)")
    parser.add_argument("--hold", default="10s", help="time at each step of the rollout (default 10s)")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running at the end, to look around")
    arguments = parser.parse_args()
    example = Example(arguments.bin, arguments.out, arguments.docs, arguments.hold)
    began = time.monotonic()
    try:
        say(f"{arguments.docs} incident reports as PDFs, and a cluster on this machine")
        example.prepare()
        with Cluster(example.out / "cluster", example.binaries, example.logs) as cluster:
            summary = example.run(cluster)
            summary.write(example.out / "summary.json")
            say(f"summary, after {time.monotonic() - began:.0f} s ({example.out / 'summary.json'})")
            print(summary.text(), flush=True)
            if arguments.keep:
                cluster.keep()
    except (RuntimeError, GaveUp, rollout.NotReached) as error:
        print(f"error: {error}; logs are in {example.logs}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if example.failures.total:
        print(f"error: clients saw failures: {example.failures.by_kind}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
