"""Writes a Hugging Face folder of random binary16 weights: random_checkpoint.py FAMILY OUT [KEY=VALUE…]

FAMILY is a folder of tests/goldens/runtime, whose tokenizer and settings it takes; sizes are its own or those given as
config.json names them (hidden_size=2048). For measuring memory and time: the values repeat every MiB.
"""
import json
import pathlib
import random
import shutil
import struct
import sys

GOLDENS = pathlib.Path(__file__).resolve().parents[1] / "goldens/runtime"
SIZES = dict(hidden_size=1024, intermediate_size=2816, num_hidden_layers=4, num_attention_heads=16, num_key_value_heads=4, head_dim=64,
             moe_intermediate_size=512, max_position_embeddings=4096)


def layer_tensors(c):
    """Names within a layer and their shapes."""
    kind, hidden, inner = c["model_type"], c["hidden_size"], c["intermediate_size"]
    head = c.get("head_dim", hidden // c["num_attention_heads"])
    query, key = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    shapes = {"self_attn.o_proj.weight": (hidden, query)}
    if kind == "phi3":
        shapes |= {"self_attn.qkv_proj.weight": (query + 2 * key, hidden), "mlp.gate_up_proj.weight": (2 * inner, hidden),
                   "mlp.down_proj.weight": (hidden, inner)}
    else:
        shapes |= {"self_attn.q_proj.weight": (query, hidden), "self_attn.k_proj.weight": (key, hidden),
                   "self_attn.v_proj.weight": (key, hidden)}
        experts = c.get("num_local_experts", c.get("num_experts", 0))
        if kind == "qwen3_moe":
            inner = c["moe_intermediate_size"]
            names, shapes["mlp.gate.weight"] = ["mlp.experts.{}.gate_proj", "mlp.experts.{}.up_proj", "mlp.experts.{}.down_proj"], (experts, hidden)
        elif kind == "mixtral":
            names = ["block_sparse_moe.experts.{}.w1", "block_sparse_moe.experts.{}.w3", "block_sparse_moe.experts.{}.w2"]
            shapes["block_sparse_moe.gate.weight"] = (experts, hidden)
        else:
            names, experts = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"], 1
        for expert in range(experts):
            gate, up, down = (name.format(expert) + ".weight" for name in names)
            shapes |= {gate: (inner, hidden), up: (inner, hidden), down: (hidden, inner)}
    norms = ["post_attention_layernorm", "post_feedforward_layernorm"] if kind == "olmo2" else ["input_layernorm", "post_attention_layernorm"]
    if kind.startswith("gemma"):
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    shapes |= {norm + ".weight": (hidden,) for norm in norms}
    if kind == "qwen2":
        shapes |= {f"self_attn.{name}_proj.bias": (rows,) for name, rows in (("q", query), ("k", key), ("v", key))}
    if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
        shapes |= {"self_attn.q_norm.weight": (head,), "self_attn.k_norm.weight": (head,)}
    if kind == "olmo2":
        shapes |= {"self_attn.q_norm.weight": (query,), "self_attn.k_norm.weight": (key,)}
    return shapes


def main(family, out, *settings):
    source, out = GOLDENS / family, pathlib.Path(out)
    config = json.loads((source / "config.json").read_text())
    config |= {key: value for key, value in SIZES.items() if key in config or key in ("hidden_size", "intermediate_size")}
    config |= {key: json.loads(value) for key, _, value in (setting.partition("=") for setting in settings)}
    if "layer_types" in config:
        kinds = config["layer_types"]
        config["layer_types"] = [kinds[i % len(kinds)] for i in range(config["num_hidden_layers"])]
    if "no_rope_layers" in config:
        config["no_rope_layers"] = [int((i + 1) % 4 != 0) for i in range(config["num_hidden_layers"])]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], config["hidden_size"]), "model.norm.weight": (config["hidden_size"],)}
    if not config.get("tie_word_embeddings", family.startswith(("gemma", "smollm3"))):
        shapes["lm_head.weight"] = (config["vocab_size"], config["hidden_size"])
    for layer in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in layer_tensors(config).items()}
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config))
    shutil.copy(source / "tokenizer.json", out)
    draw = random.Random(7)
    halves = b"".join(struct.pack("<e", draw.gauss(0.0, 0.02)) for _ in range(1 << 19))
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(out / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for row in header.values():
            left = row["data_offsets"][1] - row["data_offsets"][0]
            while left > 0:
                shift = draw.randrange(1 << 19) * 2
                part = (halves[shift:] + halves[:shift])[:left]
                file.write(part)
                left -= len(part)


main(*sys.argv[1:])
