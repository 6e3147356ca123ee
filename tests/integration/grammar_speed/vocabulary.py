"""Writes a GGUF file of a tokenizer of 49,152 tokens and a model of zeros: vocabulary.py OUT.gguf. The tokens are the words
and marks of this repository's own texts, the frequent ones first, each with its beginnings, as merging makes them."""
import collections
import math
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
SIZE = 49152
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
STRING, ARRAY, UINT32, INT32 = 8, 9, 4, 5
WIDTH = 32
TENSORS = {"token_embd.weight": [WIDTH, SIZE], "output_norm.weight": [WIDTH],
           **{f"blk.0.{name}.weight": [WIDTH] for name in ("attn_norm", "ffn_norm")},
           **{f"blk.0.{name}.weight": [WIDTH, WIDTH] for name in
              ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}}


def byte_alphabet():
    """The printable character that stands for each byte in vocabularies of GPT-2's kind."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def pieces():
    counts = collections.Counter()
    for folder in ("docs", "engine", "operator", "tests", "examples", "charts"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in (".md", ".cpp", ".h", ".py", ".yaml", ".json") and path.stat().st_size < 1 << 20:
                counts.update(re.findall(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\s\w]+|\s+", path.read_text(errors="ignore")))
    return [piece for piece, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]


def vocabulary():
    alphabet = byte_alphabet()
    tokens = dict.fromkeys(CONTROL) | dict.fromkeys(alphabet.values())
    merges = []
    for piece in pieces():
        symbols = [alphabet[byte] for byte in piece.encode()][:24]
        for length in range(2, len(symbols) + 1):
            token = "".join(symbols[:length])
            if token not in tokens and len(tokens) < SIZE:
                tokens[token] = None
                merges.append("".join(symbols[:length - 1]) + " " + symbols[length - 1])
    return list(tokens), merges


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def entry(name, kind, value):
    return string(name) + struct.pack("<I", kind) + value


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(string, values))


def main(path):
    tokens, merges = vocabulary()
    types = [3 if token in CONTROL else 1 for token in tokens]
    entries = [entry("general.architecture", STRING, string("llama")), entry("tokenizer.ggml.model", STRING, string("gpt2")),
               entry("tokenizer.ggml.pre", STRING, string("smollm")), entry("tokenizer.ggml.tokens", ARRAY, strings(tokens)),
               entry("tokenizer.ggml.token_type", ARRAY, struct.pack(f"<IQ{len(types)}i", INT32, len(types), *types)),
               entry("tokenizer.ggml.merges", ARRAY, strings(merges)),
               entry("tokenizer.ggml.bos_token_id", UINT32, struct.pack("<I", 1)),
               entry("tokenizer.ggml.eos_token_id", UINT32, struct.pack("<I", 2))]
    for name, value in [("context_length", 2048), ("embedding_length", WIDTH), ("block_count", 1), ("feed_forward_length", WIDTH),
                        ("attention.head_count", 2)]:
        entries.append(entry("llama." + name, UINT32, struct.pack("<I", value)))
    entries.append(entry("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)))
    infos, offset = b"", 0
    for name, shape in TENSORS.items():  # all zero: nobody asks this model anything
        infos += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += 4 * math.prod(shape)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(TENSORS), len(entries)) + b"".join(entries) + infos
    with open(path, "wb") as out:
        out.write(header + bytes(-len(header) % 32))
        out.truncate(out.tell() + offset)
    print(f"{len(tokens)} tokens, {len(merges)} merges")


if __name__ == "__main__":
    main(*sys.argv[1:])
