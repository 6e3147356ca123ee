"""Writes a llama-architecture Hugging Face folder of random small F16 weights, with the Harbor example's tokenizer.

No package is needed: values repeat, since memory does not care what the weights are.
"""
import json
import pathlib
import random
import shutil
import struct

HARBOR = pathlib.Path(__file__).resolve().parents[3] / "examples/harbor-analytics/model"
BLOCK = 4099  # values drawn; a prime, so that rows differ


def write(folder, *, hidden, feed_forward, layers, heads, kv_heads, context=8192):
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(HARBOR / name, folder)
    config = json.loads((HARBOR / "config.json").read_text())
    head_dim = hidden // heads
    config.update(hidden_size=hidden, intermediate_size=feed_forward, num_hidden_layers=layers, num_attention_heads=heads,
                  num_key_value_heads=kv_heads, head_dim=head_dim, max_position_embeddings=context)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        tensors |= {block + "input_layernorm.weight": [hidden], block + "post_attention_layernorm.weight": [hidden],
                    block + "self_attn.q_proj.weight": [heads * head_dim, hidden],
                    block + "self_attn.k_proj.weight": [kv_heads * head_dim, hidden],
                    block + "self_attn.v_proj.weight": [kv_heads * head_dim, hidden],
                    block + "self_attn.o_proj.weight": [hidden, heads * head_dim],
                    block + "mlp.gate_proj.weight": [feed_forward, hidden], block + "mlp.up_proj.weight": [feed_forward, hidden],
                    block + "mlp.down_proj.weight": [hidden, feed_forward]}
    write_safetensors(folder / "model.safetensors", tensors)


def write_safetensors(path, tensors):
    """Tensors of F16 by their shapes."""
    draw = random.Random(0)
    values = struct.pack(f"<{BLOCK}e", *(draw.gauss(0, 0.02) for _ in range(BLOCK)))
    one = struct.pack("<e", 1.0)
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for shape in tensors.values():
            size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            block = values if len(shape) > 1 else one
            while size > 0:
                piece = (block * (min(size, 1 << 20) // len(block) + 1))[:min(size, 1 << 20)]
                out.write(piece)
                size -= len(piece)
