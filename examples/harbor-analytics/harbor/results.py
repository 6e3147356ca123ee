"""Results as JSONL, each document exactly once, whatever kills the process."""

import json
import os
import threading
from pathlib import Path


class Results:
    """Appends are durable before they count as done. A line torn by a kill is dropped on reopening."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab+")
        self._lock = threading.Lock()
        self.rows = self._recover()

    def _recover(self) -> dict:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
            os.fsync(self._file.fileno())
        rows = (json.loads(line) for line in content[:whole].splitlines())
        return {row["id"]: row for row in rows}

    def append(self, row: dict):
        with self._lock:
            if row["id"] in self.rows:
                return
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.rows[row["id"]] = row

    def __contains__(self, document: str) -> bool:
        with self._lock:
            return document in self.rows

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
