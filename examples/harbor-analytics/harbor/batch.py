"""The nightly batch: every PDF of a folder through the model, its JSON into one file.

  python3 -m harbor.batch --url http://HOST:PORT --pdfs DIR --out results.jsonl [--concurrency N] [--free]

Kill it whenever you like: run again, it goes on where it stopped, and each document stands in the results once.
"""

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harbor import schema as json_schema
from harbor.client import Client, Failures, GaveUp
from harbor.incidents import normalize
from harbor.progress import Progress
from harbor.results import Results

FIELDS = ("severity", "root_cause")
HERE = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    documents: int
    json_pass: float
    field_accuracy: float | None  # None without expected answers
    docs_per_hour: float  # answered; reading the PDFs comes before
    milliseconds_reading: float  # a PDF's text
    failed_answers: int
    ended_by_length: int


def extract(pdf: Path) -> str:
    """The text of a PDF, by poppler."""
    done = subprocess.run(["pdftotext", "-raw", "-q", str(pdf), "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise GaveUp(f"{pdf}: pdftotext cannot read it ({done.stderr.strip() or done.returncode})")
    return normalize(done.stdout)


def _texts(documents: list[Path], label: str, gave_up: list[str]) -> dict[str, str]:
    """By name, of those that can be read."""
    progress, texts = Progress(f"{label}: text of", len(documents), "PDFs"), {}
    for document in documents:
        try:
            texts[document.stem] = extract(document)
        except GaveUp as reason:
            gave_up.append(str(reason))
        progress.advance()
    return texts


def _expected(folder: Path) -> dict:
    path = folder / "expected.jsonl"
    if not path.exists():
        return {}
    with open(path) as lines:
        return {row["id"]: row["expected"] for row in map(json.loads, lines)}


def fields_right(text: str, expected: dict) -> int:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return 0
    return sum(isinstance(answer, dict) and answer.get(name) == expected[name] for name in FIELDS)


def run(url: str, model: str, pdfs: Path, out: Path, concurrency: int, constrained: bool, label: str,
        failures: Failures | None = None) -> Outcome:
    failures = failures if failures is not None else Failures()
    schema = json.loads((HERE / "schema.json").read_text())
    documents = sorted(pdfs.glob("*.pdf"))
    before = failures.total
    gave_up = []
    with Results(out) as results:
        work = queue.SimpleQueue()
        waiting = [document for document in documents if document.stem not in results]
        reading = time.monotonic()
        texts = _texts(waiting, label, gave_up)
        milliseconds_reading = 1000 * (time.monotonic() - reading) / max(len(waiting), 1)
        for name in texts:
            work.put(name)
        progress = Progress(label, len(documents), "documents", done=len(documents) - len(texts))

        def worker():
            client = Client(url, model, schema, constrained, failures)
            while True:
                try:
                    name = work.get_nowait()
                except queue.Empty:
                    return client.close()
                try:
                    # The run's own name in the id: another run's routing and repeats stay apart.
                    answer = client.ask(f"{out.stem}-{name}", texts[name])
                    results.append({"id": name, **asdict(answer)})
                except GaveUp as reason:
                    gave_up.append(str(reason))
                progress.advance()

        began = time.monotonic()
        threads = [threading.Thread(target=worker) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        rows = dict(results.rows)
    missing = [document for document in documents if document.stem not in rows]
    if missing:
        why = gave_up[0] if gave_up else f"{missing[0].stem}: its client ended"
        raise GaveUp(f"{len(missing)} documents have no answer, run again for them; the first: {why}")

    expected = _expected(pdfs)
    valid = [json_schema.text_violation(row["text"], schema) is None for row in rows.values()]
    right = [fields_right(rows[name]["text"], expected[name]) for name in rows if name in expected]
    return Outcome(
        documents=len(rows),
        json_pass=sum(valid) / max(len(valid), 1),
        field_accuracy=sum(right) / (len(FIELDS) * len(right)) if right else None,
        docs_per_hour=len(texts) / seconds * 3600 if texts else 0.0,
        milliseconds_reading=milliseconds_reading,
        failed_answers=failures.total - before,
        ended_by_length=sum(row["finish_reason"] == "length" for row in rows.values()),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pdfs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="harbor-analytics")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--free", action="store_true", help="do not constrain decoding to the schema")
    arguments = parser.parse_args()
    try:
        outcome = run(arguments.url, arguments.model, arguments.pdfs, arguments.out, arguments.concurrency,
                      not arguments.free, "batch")
    except GaveUp as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(outcome), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
