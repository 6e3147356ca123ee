"""Make incidents: python3 -m harbor.generate {dataset,pdfs,check}

  dataset   the held-out set as JSONL, one {"id", "messages", "expected"} a line
  pdfs      the same reports as PDF files, with expected.jsonl beside them
  check     fail if held-out incidents need a word that training lacks, or share a sentence frame or report with it
"""

import argparse
import json
import sys
from pathlib import Path

from harbor import incidents, pdf, phrases

HELD_OUT_SEED = 20261123


def held_out(count: int, seed: int = HELD_OUT_SEED):
    return (incidents.incident(seed, index, held_out=True) for index in range(count))


def write_dataset(path: Path, count: int, seed: int):
    with open(path, "w") as out:
        for one in held_out(count, seed):
            line = {"id": one.id, "messages": [{"role": "user", "content": one.text}], "expected": one.answer}
            out.write(json.dumps(line) + "\n")


def write_pdfs(folder: Path, count: int, seed: int):
    """Reports as PDFs. expected.jsonl is written last: with it, the folder is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = []
    for one in held_out(count, seed):
        pdf.write(one, folder)
        expected.append(json.dumps({"id": one.id, "expected": one.answer}) + "\n")
    partial = folder / ".expected.jsonl"
    partial.write_text("".join(expected))
    partial.rename(folder / "expected.jsonl")


def check() -> list[str]:
    held_out_frames = (*phrases.HELD_OUT_CAUSE_FRAMES, *phrases.HELD_OUT_SEVERITY_FRAMES, *phrases.HELD_OUT_NEUTRAL)
    shared = incidents.training_frames().intersection(held_out_frames)
    faults = [f"sentence frame in both sets: {frame}" for frame in shared]
    faults += [f"held-out word that training lacks: {word}" for word in sorted(incidents.unseen_words())]
    trained = {incidents.incident(HELD_OUT_SEED, index, held_out=False).body for index in range(5000)}
    faults += [f"report in both sets: {one.id}" for one in held_out(2000) if one.body in trained]
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["dataset", "pdfs", "check"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    arguments = parser.parse_args()
    if arguments.what == "check":
        faults = check()
        print("\n".join(faults) or "held-out incidents use known words; no sentence frame and no report is in both sets")
        return 1 if faults else 0
    if arguments.out is None:
        parser.error("--out is needed")
    write = write_dataset if arguments.what == "dataset" else write_pdfs
    write(arguments.out, arguments.count, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
