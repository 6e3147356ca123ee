"""Models that the checks quantize, and what this engine reads of a checkpoint."""
import json
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[3]
HARBOR = ROOT / "examples/harbor-analytics"
HIDDEN, INNER = 256, 512
# Whose rows GGUF's converters put in another order.
PERMUTED = ("llama", "mistral", "mixtral", "granite", "smollm3")
MATRICES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm",
         "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
EXPERTS = {"mixtral": ("block_sparse_moe.gate", "block_sparse_moe.experts.{}.", {"gate": "w1", "up": "w3", "down": "w2"}),
           "qwen3_moe": ("mlp.gate", "mlp.experts.{}.", {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"})}


def engine(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"stepdown-engine {' '.join(map(str, arguments))}: {done.stderr}")


def random_model(family, folder):
    """Random weights under the settings of tests/goldens/runtime, wide enough for groups of 128."""
    sizes = {"hidden_size": HIDDEN, "intermediate_size": INNER, "moe_intermediate_size": HIDDEN, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
    subprocess.run([sys.executable, ROOT / "tests/bench/random_checkpoint.py", family, folder, *(f"{k}={v}" for k, v in sizes.items())],
                   check=True)


def write_prompts(path):
    text = "".join(chr(ord("0") + i * i % 70) for i in range(200))
    path.write_text("".join(json.dumps({"text": text[i:]}) + "\n" for i in range(48)))


def hf_name(name, kind):
    """Hugging Face's name of a tensor of a layer, without its experts."""
    stem, _, suffix = name.rpartition(".")
    names = MATRICES | NORMS
    if kind == "phi3":
        names = names | {"ffn_up": "mlp.gate_up_proj"}
    if kind.startswith("gemma"):
        names = names | {"ffn_norm": "pre_feedforward_layernorm"}
    return f"{names[stem]}.{suffix}" if stem in names else None


def half_split(values, heads):
    """Rows of each head back from neighbours to halves."""
    rows = values.shape[0]
    return values.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)


def engine_weights(program, model, work, *more, config_of=None):
    """The checkpoint as this engine reads it: F16 by Hugging Face names, rows of q and k put back. `config_of`: the folder whose
    settings hold, of a model without."""
    file = work / "converted.gguf"
    engine(program, "convert", "--model", model, "--out", file, *more)
    config = AutoConfig.from_pretrained(config_of or model)
    kind, weights = config.model_type, {}
    for tensor in gguf.GGUFReader(file).tensors:
        values = torch.from_numpy(np.array(tensor.data))
        if not tensor.name.startswith("blk."):
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[tensor.name.split(".")[0]]
            weights[name + ".weight"] = values - 1 if name == "model.norm" and kind.startswith("gemma") else values
            continue
        _, layer, inner = tensor.name.split(".", 2)
        prefix, stem = f"model.layers.{layer}.", inner.split(".")[0]
        if stem == "ffn_gate_inp":
            weights[prefix + EXPERTS[kind][0] + ".weight"] = values
        elif stem.endswith("_exps"):
            _, place, names = EXPERTS[kind]
            for expert, part in enumerate(values):
                weights[prefix + place.format(expert) + names[stem[4:-5]] + ".weight"] = part
        else:
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(stem)
            if heads and kind in PERMUTED:
                values = half_split(values, heads)
            if stem.endswith("norm") and kind.startswith("gemma"):
                values = values - 1
            weights[prefix + hf_name(inner, kind)] = values
    return weights


def plain_config(folder):
    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    return config


def reference_model(weights, folder):
    """transformers' own model over given weights, in F32."""
    model = AutoModelForCausalLM.from_config(plain_config(folder), dtype=torch.float32)
    missing = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
    model.tie_weights()
    return model.float().eval()


def tokens_for(folder):
    top = min(2000, AutoConfig.from_pretrained(folder).vocab_size)
    return torch.randint(0, top, (1, 64), generator=torch.Generator().manual_seed(3))
