"""A progress bar on a terminal; a line every ten seconds elsewhere."""

import sys
import threading
import time


class Progress:
    def __init__(self, label: str, total: int, unit: str, done: int = 0):
        self._label, self._total, self._unit = label, total, unit
        self._done = self._first = done
        self._began = self._shown = time.monotonic()
        self._lock = threading.Lock()
        self._terminal = sys.stderr.isatty()

    def advance(self):
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if self._done == self._total or now - self._shown > (0.2 if self._terminal else 10):
                self._shown = now
                self._show(now)

    def _show(self, now: float):
        rate = (self._done - self._first) / max(now - self._began, 1e-9)
        left = (self._total - self._done) / rate if rate else 0
        filled = 30 * self._done // max(self._total, 1)
        line = (f"{self._label} [{'#' * filled}{'.' * (30 - filled)}] {self._done}/{self._total} {self._unit}, "
                f"{rate:.1f}/s, {left:.0f} s left")
        end = "\n" if not self._terminal or self._done == self._total else ""
        print(("\r\x1b[K" if self._terminal else "") + line, end=end, file=sys.stderr, flush=True)
