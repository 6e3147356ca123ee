"""Reads a GGUF v3 file, lets tensors be edited or added, and writes it again.

The metadata is kept byte for byte. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

# type: (elements a block, bytes a block, where the block's f16 scale lies)
BLOCKS = {
    0: (1, 4, None),  # F32
    1: (1, 2, None),  # F16
    2: (32, 18, 0),  # Q4_0
    3: (32, 20, 0),  # Q4_1
    6: (32, 22, 0),  # Q5_0
    8: (32, 34, 0),  # Q8_0
    11: (256, 110, 108),  # Q3_K
    12: (256, 144, 0),  # Q4_K
    13: (256, 176, 0),  # Q5_K
    14: (256, 210, 208),  # Q6_K
}
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


@dataclass
class Tensor:
    dims: tuple[int, ...]  # the first is the fastest
    type: int
    data: bytearray

    @property
    def row_bytes(self) -> int:
        elements, size, _ = BLOCKS[self.type]
        return self.dims[0] // elements * size

    def row(self, index: int) -> slice:
        return slice(index * self.row_bytes, (index + 1) * self.row_bytes)

    def copy(self) -> "Tensor":
        return Tensor(self.dims, self.type, bytearray(self.data))


class Gguf:
    def __init__(self, path: Path):
        self._bytes = path.read_bytes()
        self._at = 0
        magic, version, tensors, entries = self._take("<4sIQQ")
        if magic != b"GGUF" or version != 3:
            raise ValueError(f"{path}: not a GGUF v3 file")
        begin = self._at
        self.metadata = {}
        for _ in range(entries):
            key = self._string()
            self.metadata[key] = self._value(self._take("<I")[0])
        self._entries, self._metadata_bytes = entries, self._bytes[begin : self._at]
        heads = []
        for _ in range(tensors):
            name = self._string()
            dims = self._take(f"<{self._take('<I')[0]}Q")
            heads.append((name, dims, *self._take("<IQ")))
        self.alignment = self.metadata.get("general.alignment", 32)
        start = self._aligned(self._at)
        self.tensors = {}
        for name, dims, kind, offset in heads:
            elements, size, _ = BLOCKS[kind]
            length = math.prod(dims) // elements * size
            self.tensors[name] = Tensor(dims, kind, bytearray(self._bytes[start + offset : start + offset + length]))

    def write(self, path: Path):
        heads, data = b"", bytearray()
        for name, tensor in self.tensors.items():
            heads += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(tensor.dims))
            heads += struct.pack(f"<{len(tensor.dims)}QIQ", *tensor.dims, tensor.type, len(data))
            data += tensor.data
            data += bytes(-len(data) % self.alignment)
        out = struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), self._entries) + self._metadata_bytes + heads
        path.write_bytes(out + bytes(-len(out) % self.alignment) + data)

    def _aligned(self, offset: int) -> int:
        return offset + -offset % self.alignment

    def _take(self, form: str):
        values = struct.unpack_from(form, self._bytes, self._at)
        self._at += struct.calcsize(form)
        return values

    def _string(self) -> str:
        length = self._take("<Q")[0]
        self._at += length
        return self._bytes[self._at - length : self._at].decode()

    def _value(self, kind: int):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            inner, count = self._take("<IQ")
            return [self._value(inner) for _ in range(count)]
        self._at += SCALAR_BYTES[kind]
        raw = self._bytes[self._at - SCALAR_BYTES[kind] : self._at]
        return int.from_bytes(raw, "little") if kind in (0, 2, 4, 10) else raw
