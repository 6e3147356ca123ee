"""Train the example's model from nothing: python3 -m training.train --out model

A quarter of an hour on one core (bf16). Progress, with the scores on held-out incidents, goes to standard error;
--out always holds the latest finished export.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from harbor.incidents import answer_json, incident
from training.export import export
from training.muon import Muon
from training.network import Llama, Shape
from training.tokenizer import prompt_text, train_tokenizer

DOCUMENT_LOSS = 0.1  # a little language modelling of the reports: teaches copying, and gives perplexity a meaning


def encode(tokenizer, one):
    prompt = tokenizer.encode(prompt_text(one.text)).ids
    answer = tokenizer.encode(answer_json(one.answer) + "<|im_end|>").ids
    return prompt, answer


def batch(tokenizer, incidents):
    """Ids, targets and loss weights, padded to the longest."""
    rows = [encode(tokenizer, one) for one in incidents]
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    weights = torch.zeros(len(rows), length)
    for row, (prompt, answer) in enumerate(rows):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        weights[row, 1 : len(prompt)] = DOCUMENT_LOSS
        weights[row, len(prompt) : len(prompt) + len(answer)] = 1.0
    return ids[:, :-1], ids[:, 1:], weights[:, 1:]


@torch.no_grad()
def score(model, tokenizer, incidents):
    """Share of answers greedy decoding gets right: severity and cause, and every token.

    Greedy decoding equals the expected answer exactly as long as each of its tokens is the argmax after the ones
    before it, so one forward pass tells.
    """
    ids, targets, weights = batch(tokenizer, incidents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        right = model(ids).argmax(-1) == targets
    fields = whole = 0
    for row, one in enumerate(incidents):
        answer = (weights[row] == 1.0).nonzero().flatten()
        head = answer_json(one.answer).split(',"recommendations"')[0]
        head_length = len(tokenizer.encode(head).ids) - 1  # the last token may merge with what follows
        fields += bool(right[row, answer[:head_length]].all())
        whole += bool(right[row, answer].all())
    return fields / len(incidents), whole / len(incidents)


def learning_rate(step: int, steps: int) -> float:
    """Warm-up, plateau, linear descent over the last 60 %."""
    return min(1.0, (step + 1) / 60, (steps - step) / (0.6 * steps))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    tokenizer = train_tokenizer(arguments.seed, 20000, arguments.vocabulary)
    model = Llama(Shape(vocabulary=tokenizer.get_vocab_size()))
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim == 1 or "embed" in n]
    optimizers = [
        Muon(matrices, lr=0.015, weight_decay=0.03),
        torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, vocabulary {tokenizer.get_vocab_size()}", file=sys.stderr, flush=True)

    # Held-out in kind, yet none of the reports that the example is judged on.
    validation = [incident(arguments.seed + 1, index, held_out=True) for index in range(100)]
    began, tokens = time.time(), 0
    for step in range(arguments.steps):
        first = step * arguments.batch
        ids, targets, weights = batch(
            tokenizer, [incident(arguments.seed, first + i, held_out=False) for i in range(arguments.batch)]
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids)
        losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(weights)
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        factor = learning_rate(step, arguments.steps)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += int((weights > 0).sum())

        if step % 20 == 0 or step + 1 == arguments.steps:
            answer_loss = (losses * (weights == 1)).sum() / (weights == 1).sum()
            print(f"step {step}/{arguments.steps} loss {loss:.4f} answer {answer_loss:.4f} "
                  f"{tokens / (time.time() - began):.0f} tok/s", file=sys.stderr, flush=True)
        if (step + 1) % 100 == 0 or step + 1 == arguments.steps:
            fields, whole = score(model, tokenizer, validation)
            print(f"step {step + 1}: fields {fields:.3f} whole answers {whole:.3f}", file=sys.stderr, flush=True)
            export(model, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
