#!/usr/bin/env python3
"""Writes encode/<TYPE>.bin: weights, then the blocks that ggml's ggml_quantize_chunk makes of them, then importance
of their columns and the blocks it makes with that.

Usage: pip install numpy gguf==0.19.0 && ./make_encode.py PATH/TO/libggml-base.so   (any llama.cpp build without -march)
Layout: u32 number of weights, the weights as f32, the blocks, the importance as f32, the blocks (all little-endian).
"""
import ctypes
import pathlib
import struct
import sys

import gguf
import numpy as np

ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                     ctypes.c_int64, ctypes.c_void_p]
random = np.random.default_rng(7)
normal = random.standard_normal(256).astype(np.float32)
weights = np.concatenate([
    normal * 0.05,
    np.where(random.random(256) < 0.02, normal * 2, normal * 0.01).astype(np.float32),  # outliers
    np.abs(normal) * 0.1,
    np.repeat(np.float32([0, 1e-9, -0.25, 0.25, 1e-20, 60000, -3, 0]), 32),  # flat groups, tiny and huge ones
])
importance = np.exp(random.standard_normal(weights.size) * 2).astype(np.float32)
folder = pathlib.Path(__file__).parent / "encode"
folder.mkdir(exist_ok=True)
for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]:
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = struct.pack("<I", weights.size) + weights.tobytes()
    for columns in [None, importance]:
        blocks = np.zeros(weights.size // elements * size, dtype=np.uint8)
        ggml.ggml_quantize_chunk(kind.value, weights.ctypes.data, blocks.ctypes.data, 0, 1, weights.size,
                                 None if columns is None else columns.ctypes.data)
        data += (b"" if columns is None else columns.tobytes()) + blocks.tobytes()
    (folder / f"{name}.bin").write_bytes(data)
