"""Steady traffic through the gateway while revisions come and go: what clients would see."""

import itertools
import json
import re
import threading
from pathlib import Path

from harbor.batch import HERE, extract
from harbor.client import Client, Failures, GaveUp

# One unit six times over, 32 bytes in all: no healthy answer of this model holds that.
LOOP = re.compile(r"(?=.{32})(.{1,200}?)\1{5,}", re.DOTALL)


def degenerate(text: str) -> bool:
    return not text.strip() or any(len(loop.group()) >= 32 for loop in LOOP.finditer(text))


class Load:
    """Asks about the PDFs round and round until stopped: of eight answers two are streamed, one of these free text."""

    def __init__(self, url: str, model: str, pdfs: Path, concurrency: int, failures: Failures,
                 patience: float = 60):
        self._url, self._model, self._failures, self._patience = url, model, failures, patience
        self._schema = json.loads((HERE / "schema.json").read_text())
        self._documents = [extract(pdf) for pdf in sorted(pdfs.glob("*.pdf"))[:100]]
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.answers = self.retried = self.tainted = 0
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(concurrency)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self):
        structured, free = (Client(self._url, self._model, self._schema, constrained, self._failures, self._patience)
                            for constrained in (True, False))
        while not self._stopping.is_set():
            number = next(self._numbers)
            document, kind = self._documents[number % len(self._documents)], number % 8
            try:
                client = free if kind == 7 else structured
                answer = client.ask(f"load-{id(self)}-{number}", document, stream=kind in (3, 7))
            except GaveUp:
                self._failures.add("gave up")
                continue
            except Exception as error:  # a client that ended here would tell of no failure
                self._failures.add(f"answer of another shape: {type(error).__name__}")
                continue
            with self._lock:
                self.answers += 1
                self.retried += bool(answer.retried)
                # Free text cannot be called back once released; a structured answer that breaks its schema failed.
                self.tainted += kind == 7 and degenerate(answer.text)
        structured.close()
        free.close()
