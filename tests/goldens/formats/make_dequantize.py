#!/usr/bin/env python3
"""Writes dequantize/<TYPE>.bin: random blocks, then the floats that the PyPI package `gguf` reads from them.

Usage: pip install gguf==0.19.0 numpy && ./make_dequantize.py
Layout: u32 number of blocks, the blocks, the floats (all little-endian). Scales are kept finite, as in real files.
"""
import pathlib
import struct

import gguf
import numpy as np

# Offsets of the binary16 scales in a block.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
          "MXFP4": []}
BLOCKS = 4
folder = pathlib.Path(__file__).parent / "dequantize"
folder.mkdir(exist_ok=True)
for name in ["F16", "BF16", *HALVES]:
    random = np.random.default_rng([20, *name.encode()])  # of its own: a new type changes no other's file
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    count = BLOCKS if elements > 1 else 64
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    if elements == 1:
        blocks[:, 1] &= 0xBF  # no infinities or NaN: their payloads are nobody's contract
    for at in HALVES.get(name, []):
        scales = (random.standard_normal(count) * 0.1).astype(np.float16)
        scales[0] = np.float16(6e-7)  # a subnormal one
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(count, 2)
    floats = gguf.dequantize(blocks.reshape(-1) if elements == 1 else blocks, kind).astype(np.float32)
    (folder / f"{name}.bin").write_bytes(struct.pack("<I", count) + blocks.tobytes() + floats.tobytes())
