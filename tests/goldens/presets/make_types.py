#!/usr/bin/env python3
"""Writes types.json beside it: which type llama-quantize gives each tensor of models of every architecture, by preset, as its
--dry-run tells. Needs gguf and a llama-quantize (Debian's llama.cpp-tools 0.7.0 made the committed file):

    python3 tests/goldens/presets/make_types.py LLAMA_QUANTIZE
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import numpy

PRESETS = "Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 Q3_K_L Q3_K_M Q3_K_S Q2_K IQ4_NL IQ4_XS".split()
ATTENTION = ["attn_q", "attn_k", "attn_v", "attn_output"]
DENSE = ["ffn_gate", "ffn_up", "ffn_down"]
EXPERTS = ["ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"]
JOINED = ["attn_qkv", "attn_output", "ffn_up", "ffn_down"]
# Name: architecture, matrices of a layer, layers, heads, heads of keys, experts, tied embeddings.
CASES = {
    "llama": ("llama", ATTENTION + DENSE, 16, 8, 4, 0, False),
    "llama_70b": ("llama", ATTENTION + DENSE, 80, 8, 1, 0, False),
    "mixtral": ("llama", ATTENTION + EXPERTS, 16, 8, 2, 8, False),
    "qwen2": ("qwen2", ATTENTION + DENSE, 24, 8, 1, 0, True),
    "qwen2_72b": ("qwen2", ATTENTION + DENSE, 80, 8, 8, 0, False),
    "qwen3": ("qwen3", ATTENTION + DENSE, 80, 8, 1, 0, True),
    "qwen3moe": ("qwen3moe", ATTENTION + EXPERTS, 16, 8, 1, 16, False),
    "gemma2": ("gemma2", ATTENTION + DENSE, 26, 8, 4, 0, True),
    "gemma3": ("gemma3", ATTENTION + DENSE, 18, 4, 1, 0, True),
    "phi3": ("phi3", JOINED, 16, 8, 8, 0, False),
    "phi3_grouped": ("phi3", JOINED, 40, 8, 2, 0, False),
    "granite": ("granite", ATTENTION + DENSE, 40, 8, 2, 0, True),
    "olmo2": ("olmo2", ATTENTION + DENSE, 16, 8, 8, 0, False),
    "smollm3": ("smollm3", ATTENTION + DENSE, 36, 8, 2, 0, True),
}
# What a preset gives a tensor unless types.json says otherwise.
BASES = {"Q5_K_M": "Q5_K", "Q5_K_S": "Q5_K", "Q4_K_M": "Q4_K", "Q4_K_S": "Q4_K", "Q3_K_L": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_S": "Q3_K"}
COLUMNS = 256  # that every block type fills


def write_model(path, architecture, matrices, layers, heads, kv_heads, experts, tied):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(COLUMNS)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(COLUMNS)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(COLUMNS // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_sliding_window(32)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(4)
    writer.add_tokenizer_model("no_vocab")
    if architecture == "granite":
        writer.add_logit_scale(1.0)
        writer.add_residual_scale(1.0)
        writer.add_embedding_scale(1.0)
        writer.add_attention_scale(1.0)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(COLUMNS)

    def tensor(name, *shape):
        writer.add_tensor(name + ".weight", numpy.zeros(shape, numpy.float16 if len(shape) > 1 else numpy.float32))

    tensor("token_embd", 4, COLUMNS)
    if not tied:
        tensor("output", 4, COLUMNS)
    tensor("output_norm", COLUMNS)
    for layer in range(layers):
        tensor(f"blk.{layer}.attn_norm", COLUMNS)
        for name in matrices:
            tensor(f"blk.{layer}.{name}", *([experts] if name.endswith("_exps") else []), 4, COLUMNS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_imatrix(path):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["text"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 32)
    writer.add_tensor("blk.0.attn_q.weight.in_sum2", numpy.ones((1, COLUMNS), numpy.float32))
    writer.add_tensor("blk.0.attn_q.weight.counts", numpy.ones((1, 1), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def runs(types):
    """["Q4_K", "Q4_K", "Q6_K"] → "Q4_K*2 Q6_K*1"."""
    parts = []
    for each in types:
        if parts and parts[-1][0] == each:
            parts[-1][1] += 1
        else:
            parts.append([each, 1])
    return " ".join(f"{name}*{count}" for name, count in parts)


def types_of(program, model, preset, more):
    done = subprocess.run([program, "--dry-run", *more, model, str(model) + ".out", preset, "2"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    found = {}
    for line in (done.stdout + done.stderr).splitlines():
        match = re.match(r"\[ *\d+/ *\d+\] (\S+)\.weight .*type = +(\w+).*MiB(?: \((\w+)\))?$", line)
        if match and not match[1].endswith("norm"):
            parts = match[1].split(".")
            name = parts[-1]
            found.setdefault(name, []).append((match[3] or match[2]).upper())
    return {name: runs(types) for name, types in sorted(found.items()) if set(types) != {BASES.get(preset, preset)}}


def json_of(cases):
    """A line a preset."""
    def table(types):
        return "{" + ",\n    ".join(f"{json.dumps(preset)}: {json.dumps(row)}" for preset, row in types.items()) + "}"
    parts = []
    for name, case in cases.items():
        facts = {key: value for key, value in case.items() if key not in ("types", "withImatrix")}
        parts.append(f'"{name}": {json.dumps(facts)[:-1]},\n  "types": {table(case["types"])},\n  "withImatrix": {table(case["withImatrix"])}}}')
    return "{" + ",\n".join(parts) + "}\n"


def main(program):
    all_cases = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_imatrix(folder / "imatrix.gguf")
        for name, case in CASES.items():
            model = folder / f"{name}.gguf"
            write_model(model, *case)
            architecture, matrices, layers, heads, kv_heads, experts, tied = case
            recorded = {"architecture": architecture, "matrices": matrices, "layers": layers, "heads": heads, "kvHeads": kv_heads,
                        "experts": experts, "tied": tied, "columns": COLUMNS, "types": {}, "withImatrix": {}}
            for preset in PRESETS:
                recorded["types"][preset] = types_of(program, model, preset, [])
                informed = types_of(program, model, preset, ["--imatrix", folder / "imatrix.gguf"])
                if informed != recorded["types"][preset]:
                    recorded["withImatrix"][preset] = informed
            all_cases[name] = recorded
            print(name)
    (pathlib.Path(__file__).parent / "types.json").write_text(json_of(all_cases))


if __name__ == "__main__":
    main(*sys.argv[1:])
