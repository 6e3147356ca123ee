"""The nightly batch against a server that breaks connections, and against kill -9."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harbor import batch, generate
from harbor.client import Failures
from tests.fake_engine import FakeEngine

DOCUMENTS = 40


class BatchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        generate.write_pdfs(self.folder / "pdfs", DOCUMENTS, seed=7)
        self.out = self.folder / "results.jsonl"

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def assert_each_document_once(self):
        self.assertEqual(sorted(row["id"] for row in self.rows()),
                         sorted(pdf.stem for pdf in (self.folder / "pdfs").glob("*.pdf")))

    def test_broken_connections_are_repeated_under_the_same_request_id(self):
        server, failures = FakeEngine(break_every=5), Failures()
        self.addCleanup(server.server_close)
        outcome = batch.run(server.url, "m", self.folder / "pdfs", self.out, 3, True, "test", failures)
        self.assert_each_document_once()
        self.assertEqual(outcome.json_pass, 1.0)
        self.assertEqual(len(set(server.requests)), DOCUMENTS)
        self.assertEqual(outcome.failed_answers, len(server.requests) - DOCUMENTS)
        self.assertGreater(outcome.failed_answers, 0)

    def test_killed_batch_goes_on_where_it_stopped(self):
        server = FakeEngine(seconds=0.02)
        self.addCleanup(server.server_close)
        command = [sys.executable, "-m", "harbor.batch", "--url", server.url, "--pdfs", self.folder / "pdfs",
                   "--out", self.out, "--concurrency", "2"]
        killed = subprocess.Popen(command, cwd=batch.HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.out.exists() or len(self.out.read_bytes().splitlines()) < 5:
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        done = len(self.rows())
        self.assertLess(done, DOCUMENTS)
        with open(self.out, "ab") as torn:
            torn.write(b'{"id": "held')
        asked = len(server.requests)
        again = subprocess.run(command, cwd=batch.HERE, capture_output=True, text=True)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assert_each_document_once()
        self.assertEqual(len(server.requests) - asked, DOCUMENTS - done)

    def test_a_file_that_is_no_pdf_is_named(self):
        server = FakeEngine()
        self.addCleanup(server.server_close)
        (self.folder / "pdfs" / "torn.pdf").write_bytes(b"%PDF-1.4\nnothing")
        with self.assertRaisesRegex(batch.GaveUp, "torn.pdf"):
            batch.run(server.url, "m", self.folder / "pdfs", self.out, 2, True, "test")


if __name__ == "__main__":
    unittest.main()
