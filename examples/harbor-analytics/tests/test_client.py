"""What is no answer counts as a failed one, and ends no client."""

import tempfile
import time
import unittest
from pathlib import Path

from harbor import generate
from harbor.client import Client, Failures, GaveUp
from harbor.load import Load
from tests.fake_engine import FakeEngine

GARBAGE = (b"data: {oops\n\n", b"data: []\n\ndata: [DONE]\n\n", b"data: {}\n\n", b"[1]", b"{", b'{"choices": [7]}')


class ClientTest(unittest.TestCase):
    def server(self, garbage: bytes) -> FakeEngine:
        server = FakeEngine(garbage=garbage)
        self.addCleanup(server.server_close)
        return server

    def test_a_client_asks_again_and_gives_up_in_the_end(self):
        for garbage in (b"data: {oops\n\n", b"{"):
            for stream in (False, True):
                failures = Failures()
                client = Client(self.server(garbage).url, "m", {}, False, failures, patience=0.2)
                with self.assertRaises(GaveUp):
                    client.ask("r", "d", stream)
                client.close()
                self.assertGreater(failures.total, 0)

    def test_no_garbage_ends_the_load(self):
        with tempfile.TemporaryDirectory() as folder:
            generate.write_pdfs(Path(folder), 1, seed=7)
            for garbage in GARBAGE:
                failures = Failures()
                load = Load(self.server(garbage).url, "m", Path(folder), 2, failures, patience=0.05)
                with load:
                    while failures.total < 16:
                        self.assertTrue(any(thread.is_alive() for thread in load._threads), garbage)
                        time.sleep(0.01)
                self.assertEqual(load.answers, 0, garbage)


if __name__ == "__main__":
    unittest.main()
