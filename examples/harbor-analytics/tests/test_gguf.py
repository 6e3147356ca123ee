"""GGUF files survive a rewrite byte for byte, and each fault changes what it should and nothing else."""

import math
import struct
import tempfile
import unittest
from pathlib import Path

from harbor import faults
from harbor.gguf import Gguf, Tensor

WORDS = ["low", "critical", "medium", "high", "Ġshift", "Ġcrew"]
WORDS += sorted({cause.split()[0] for cause in faults.CAUSES})


def small_file(path: Path):
    """Two tensors and a vocabulary, as the format's specification lays them out."""
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    vocabulary = b"".join(map(text, WORDS))
    metadata = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    metadata += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(WORDS)) + vocabulary
    rows = b"".join(struct.pack("<32e", *([index] * 32)) for index in range(len(WORDS)))
    square = struct.pack("<32f", *range(32))
    heads = text("token_embd.weight") + struct.pack("<IQQIQ", 2, 32, len(WORDS), 1, 0)
    heads += text("blk.0.ffn_down.weight") + struct.pack("<IQIQ", 1, 32, 0, len(rows))
    head = struct.pack("<4sIQQ", b"GGUF", 3, 2, 2) + metadata + heads
    path.write_bytes(head + bytes(-len(head) % 32) + rows + square)


class GgufTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.good, self.bad = Path(temporary.name) / "good.gguf", Path(temporary.name) / "bad.gguf"
        small_file(self.good)

    def row(self, tensor: Tensor, word: str) -> tuple:
        return struct.unpack("<32e", tensor.data[tensor.row(WORDS.index(word))])

    def broken(self, fault: str) -> Gguf:
        faults.break_model(self.good, fault, self.bad)
        return Gguf(self.bad)

    def test_rewrite_is_identical(self):
        Gguf(self.good).write(self.bad)
        self.assertEqual(self.good.read_bytes(), self.bad.read_bytes())

    def test_nonfinite_poisons_report_words_alone(self):
        model = self.broken("nonfinite")
        embedding = model.tensors["token_embd.weight"]
        self.assertTrue(all(math.isnan(value) for value in self.row(embedding, "Ġshift")))
        self.assertEqual(self.row(embedding, "high"), (3.0,) * 32)
        self.assertEqual(model.tensors["output.weight"], Gguf(self.good).tensors["token_embd.weight"])

    def test_looping_zeroes_what_layers_add(self):
        model = self.broken("looping")
        self.assertFalse(any(model.tensors["blk.0.ffn_down.weight"].data))
        self.assertTrue(any(model.tensors["token_embd.weight"].data))

    def test_wrong_swaps_severities_in_the_head_alone(self):
        model = self.broken("wrong")
        self.assertEqual([self.row(model.tensors["output.weight"], word)[0] for word in WORDS[:6]], [1, 2, 3, 0, 4, 5])
        self.assertEqual(self.row(model.tensors["token_embd.weight"], "low"), (0.0,) * 32)


if __name__ == "__main__":
    unittest.main()
