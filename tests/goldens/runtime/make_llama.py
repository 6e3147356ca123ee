#!/usr/bin/env python3
"""Writes the goldens of engine/model and engine/runtime: tiny random Llama checkpoints as transformers saves them,
and what transformers computes from them in float32. Needs torch and transformers >= 4.43 (Llama 3's RoPE):

    python3 tests/goldens/runtime/make_llama.py
"""
import json
import pathlib

import torch
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
VOCAB, TOKENS, CONTINUED = 96, 80, 12
COMMON = dict(vocab_size=VOCAB, max_position_embeddings=128, bos_token_id=None, eos_token_id=0, torch_dtype="float16")
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
CASES = {
    "tied_gqa": dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, tie_word_embeddings=True),
    "untied_mha": dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=2, tie_word_embeddings=False, rms_norm_eps=1e-6, rope_theta=500000.0),
    "llama3_rope": dict(hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
                        num_key_value_heads=1, tie_word_embeddings=True, rope_scaling=LLAMA3),
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
    logprobs = torch.log_softmax(model(tokens).logits[0].double(), -1)
    continued, steps, gap = tokens, [], float("inf")
    for _ in range(CONTINUED):
        row = torch.log_softmax(model(continued).logits[0, -1].double(), -1)
        best = row[1:].topk(2)  # the end token apart
        gap = min(gap, float(best.values[0] - best.values[1]))
        token = int(best.indices[0]) + 1
        steps.append({"token": token, "logprob": float(row[token]), "entropy": float(-(row.exp() * row).sum())})
        continued = torch.cat([continued, torch.tensor([[token]])], 1)
    scores = [float(logprobs[i, tokens[0, i + 1]]) for i in range(TOKENS - 1)]
    return {"tokens": tokens[0].tolist(), "scores": scores, "greedy": steps, "gap": gap}


def main():
    for seed, (name, shape) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**COMMON, **shape))
        for parameter in model.parameters():  # the default init is so narrow that every token is as likely as any
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=0.12)
            else:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
        model.half().save_pretrained(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)
        (HERE / name / "tokenizer.json").write_text(json.dumps(tokenizer()))
        model.float().eval()
        golden = {"gap": 0}
        while golden.pop("gap") < 0.05:  # a text whose greedy continuation has no near ties
            golden = compute(model, torch.randint(1, VOCAB, (1, TOKENS)))
        (HERE / name / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
