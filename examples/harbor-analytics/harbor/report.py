"""What the run found, for machines (summary.json) and for people."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Nightly:
    """One variant's nightly batch at so many sequences; the rest is measured."""

    method: str
    json_pass: float
    json_pass_constrained: float
    field_accuracy: float
    docs_per_hour: float
    sequences: int
    peak_memory_bytes: int
    milliseconds_reading: float  # a PDF, before it is asked about


@dataclass
class Rollback:
    fault: str
    detected_by: str
    bad_answers: int
    ms_trip_to_fp16: float
    ms_since_first_bad: float


@dataclass
class Summary:
    fp16: Nightly
    winner_at_equal_concurrency: Nightly  # as many sequences as FP16
    winner: Nightly  # as many as FP16's memory has room for, by the memory model
    candidates: list[dict]
    rollbacks: list[Rollback]
    failed_answers: int
    tainted_answers: int
    false_rollbacks: int

    def write(self, path: Path):
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.rename(path)

    def text(self) -> str:
        return "\n".join([*self._candidates(), "", *self._nightly(), "", *self._rollbacks(), "", *self._clients()])

    def _candidates(self):
        yield f"{'candidate':14} {'state':10} {'MB':>6}  JSON free/constrained  fields"
        for one in self.candidates:
            yield (f"{one['name']:14} {one['state']:10} {one['size'] / 1e6:6.2f}  "
                   f"{_percent(one.get('json_pass'))} / {_percent(one.get('json_pass_constrained'))}       "
                   f"{_percent(one.get('field_accuracy'))}  {one.get('message', '')}".rstrip())

    def _nightly(self):
        yield (f"{'nightly batch':14} {'JSON free/constrained':22} {'fields':8} {'docs/hour':>10} {'sequences':>10} "
               f"{'peak MB':>8}")
        runs = (self.fp16, self.winner_at_equal_concurrency, self.winner)
        for one in runs:
            yield (f"{one.method:14} {_percent(one.json_pass)} / {_percent(one.json_pass_constrained)}        "
                   f"{_percent(one.field_accuracy)}   {one.docs_per_hour:10,.0f} {one.sequences:10} "
                   f"{one.peak_memory_bytes / 1e6:8.1f}")
        equal, budget = (one.docs_per_hour / self.fp16.docs_per_hour for one in runs[1:])
        yield f"docs/hour ratio: {equal:.2f} at equal concurrency, {budget:.2f} under one memory budget"
        yield f"before that, the text of a PDF: {sum(one.milliseconds_reading for one in runs) / len(runs):.1f} ms"

    def _rollbacks(self):
        yield f"{'bad revision':14} {'detected by':12} {'bad answers':>11} {'trip to FP16':>13} {'since first bad':>16}"
        for one in self.rollbacks:
            yield (f"{one.fault:14} {one.detected_by:12} {one.bad_answers:11} {one.ms_trip_to_fp16:10.0f} ms "
                   f"{one.ms_since_first_bad:13.0f} ms")

    def _clients(self):
        yield f"failed answers seen by clients: {self.failed_answers}"
        yield f"tainted free text: {self.tainted_answers}"
        yield f"rollbacks of good revisions: {self.false_rollbacks}"


def _percent(rate) -> str:
    return "     -" if rate is None else f"{100 * rate:5.1f}%"
