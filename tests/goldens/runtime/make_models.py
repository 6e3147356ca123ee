#!/usr/bin/env python3
"""Writes the goldens of engine/model and engine/runtime: tiny random checkpoints of every architecture as transformers
saves them, and what transformers computes from them in float32. Needs torch >= 2.1 and transformers 4.57 (SmolLM 3,
Gemma 3's layer types); Debian 13's python3-torch will do:

    python3 tests/goldens/runtime/make_models.py [CASE…]
"""
import json
import pathlib
import sys

import torch
import transformers

HERE = pathlib.Path(__file__).parent
VOCAB, TOKENS, CONTINUED = 96, 80, 12
COMMON = dict(vocab_size=VOCAB, max_position_embeddings=128, bos_token_id=None, eos_token_id=0, pad_token_id=None, torch_dtype="float16")
SMALL = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
             tie_word_embeddings=True)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
SLIDES = ["sliding_attention", "full_attention"]
CASES = {
    "tied_gqa": ("Llama", dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                               num_key_value_heads=2, tie_word_embeddings=True)),
    "untied_mha": ("Llama", dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2,
                                 num_key_value_heads=2, tie_word_embeddings=False, rms_norm_eps=1e-6, rope_theta=500000.0)),
    "llama3_rope": ("Llama", dict(hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
                                  num_key_value_heads=1, tie_word_embeddings=True, rope_scaling=LLAMA3)),
    "linear_rope": ("Llama", dict(SMALL, rope_scaling={"rope_type": "linear", "factor": 4.0})),
    "yarn_rope": ("Llama", dict(SMALL, rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})),
    "mistral": ("Mistral", dict(SMALL, sliding_window=24)),
    "qwen2": ("Qwen2", {key: value for key, value in SMALL.items() if key != "head_dim"}),
    "qwen3": ("Qwen3", SMALL),
    "gemma2": ("Gemma2", dict(SMALL, sliding_window=16, layer_types=SLIDES, query_pre_attn_scalar=24, attn_logit_softcapping=4.0,
                              final_logit_softcapping=6.0)),
    "gemma3": ("Gemma3Text", dict(SMALL, sliding_window=16, layer_types=SLIDES, query_pre_attn_scalar=24, rope_theta=1000000.0,
                                  rope_scaling={"rope_type": "linear", "factor": 8.0})),
    "phi3": ("Phi3", dict({key: value for key, value in SMALL.items() if key != "head_dim"}, partial_rotary_factor=0.5, sliding_window=40)),
    "granite": ("Granite", dict(SMALL, embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.3, logits_scaling=0.7)),
    "olmo2": ("Olmo2", {key: value for key, value in SMALL.items() if key != "head_dim"}),
    "smollm3": ("SmolLM3", dict({key: value for key, value in SMALL.items() if key != "head_dim"}, num_hidden_layers=4)),
    "mixtral": ("Mixtral", dict(SMALL, num_local_experts=4, num_experts_per_tok=2, intermediate_size=32, sliding_window=None)),
    "qwen3_moe": ("Qwen3Moe", dict(SMALL, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=32, norm_topk_prob=True)),
}
# A byte-level tokenizer of single characters: these checkpoints are fed ids, not text.
ALPHABET = [chr(c) for c in range(0x21, 0x7F)]


def tokenizer():
    tokens = ["<|end|>"] + ALPHABET + ["\u0120"]
    return {
        "added_tokens": [{"id": 0, "content": tokens[0], "special": True}],
        "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": []},
    }


@torch.no_grad()
def compute(model, tokens):
    output = model(tokens, output_hidden_states=True)
    logprobs = torch.log_softmax(output.logits[0].double(), -1)
    embedding = torch.nn.functional.normalize(output.hidden_states[-1][0].double().mean(0), dim=0)
    continued, steps, gap = tokens, [], float("inf")
    for _ in range(CONTINUED):
        row = torch.log_softmax(model(continued).logits[0, -1].double(), -1)
        best = row[1:].topk(2)  # the end token apart
        gap = min(gap, float(best.values[0] - best.values[1]))
        token = int(best.indices[0]) + 1
        steps.append({"token": token, "logprob": float(row[token]), "entropy": float(-(row.exp() * row).sum())})
        continued = torch.cat([continued, torch.tensor([[token]])], 1)
    if hasattr(model.config, "num_experts_per_tok"):  # which expert a token goes to must not hang on rounding either
        chosen = model.config.num_experts_per_tok
        for layer in model(continued, output_router_logits=True).router_logits:
            best = layer.topk(chosen + 1).values
            gap = min(gap, float((best[:, chosen - 1] - best[:, chosen]).min()) * 5)
    scores = [float(logprobs[i, tokens[0, i + 1]]) for i in range(TOKENS - 1)]
    return {"tokens": tokens[0].tolist(), "scores": scores, "greedy": steps, "embedding": embedding.tolist(), "gap": gap}


def random_model(family, shape, vocab):
    """A model with rounded random weights, and what it computes from a text whose greedy continuation has no near ties."""
    config = getattr(transformers, family + "Config")(**dict(COMMON, vocab_size=vocab), **shape)
    config._attn_implementation = "eager"  # the one that caps scores
    model = getattr(transformers, family.removesuffix("Text") + "ForCausalLM")(config)
    around = 0.0 if family.startswith("Gemma") else 1.0  # Gemma's norms are stored as differences from 1
    for parameter in model.parameters():  # the default init is so narrow that every token is as likely as any
        if parameter.dim() >= 2:
            torch.nn.init.normal_(parameter, std=0.12 if shape["hidden_size"] > 32 else 0.2)
        else:
            torch.nn.init.uniform_(parameter, around - 0.5, around + 0.5)
    model.half().float().eval()
    golden = {"gap": 0}
    while golden.pop("gap") < 0.05:
        golden = compute(model, torch.randint(1, vocab, (1, TOKENS)))
    return model, golden


def main():
    for seed, (name, (family, shape)) in enumerate(CASES.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        torch.manual_seed(seed)
        model, golden = random_model(family, shape, VOCAB)
        model.half().save_pretrained(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)
        (HERE / name / "tokenizer.json").write_text(json.dumps(tokenizer()))
        (HERE / name / "golden.json").write_text(json.dumps(golden) + "\n")
        print(name, sum(file.stat().st_size for file in (HERE / name).iterdir()) // 1024, "KB")


if __name__ == "__main__":
    main()
