"""The Harbor model: prompts to calibrate on, and how far a quantized model lies from it on held-out reports."""
import json
import sys

import numpy as np
import torch
from transformers import AutoTokenizer

from models import HARBOR, engine_weights, reference_model

MODEL = HARBOR / "model"
TRAINING_SEED = 777  # the held-out reports have another


def write_prompts(path, first, count):
    """Reports with their answers, as the model was trained on; none of them is held out."""
    sys.path.insert(0, str(HARBOR))
    from harbor import incidents
    with open(path, "w", encoding="utf-8") as out:
        for index in range(first, first + count):
            one = incidents.incident(TRAINING_SEED, index, held_out=False)
            out.write(json.dumps({"messages": [{"role": "user", "content": one.text}], "expected": one.answer}) + "\n")


def chat_of(line):
    """A report and its answer as the model writes it, without spaces: with them its tokens are others."""
    answer = json.dumps(line["expected"], ensure_ascii=False, separators=(",", ":"))
    return line["messages"] + [{"role": "assistant", "content": answer}]


def tokens_of(tokenizer, chat, prompt=False):
    found = tokenizer.apply_chat_template(chat, tokenize=True, add_generation_prompt=prompt)
    return list(found["input_ids"]) if hasattr(found, "keys") else list(found)


class HeldOut:
    """The exact model's logits over the held-out reports."""

    def __init__(self, program, work):
        self.program, self.work, self.samples = program, work, []
        tokenizer = AutoTokenizer.from_pretrained(MODEL)
        exact = self.load(MODEL)
        for line in map(json.loads, (HARBOR / "data/heldout.jsonl").read_text().splitlines()):
            chat = chat_of(line)
            tokens, prompt = tokens_of(tokenizer, chat), tokens_of(tokenizer, chat[:-1], prompt=True)
            assert tokens[:len(prompt)] == prompt
            self.samples.append((tokens, len(prompt), self.logits(exact, tokens)))

    def load(self, model):
        """In F32, as this engine reads the checkpoint: kernels that round activations have no part in what is compared."""
        return reference_model(engine_weights(self.program, model, self.work, config_of=MODEL), MODEL)

    @staticmethod
    def logits(model, tokens):
        with torch.no_grad():
            return model(torch.tensor([tokens]), use_cache=False).logits[0]

    def measure(self, model):
        """KL divergences a token from the exact model: over the reports, mean and median, and over the answers, which it knows by heart;
        perplexity of the answers."""
        loaded, reports, answers, lost = self.load(model), [], [], []
        for tokens, prompt, exact in self.samples:
            p, q = (torch.log_softmax(x.double(), -1) for x in (exact, self.logits(loaded, tokens)))
            divergence = (p.exp() * (p - q)).sum(-1)[:-1].numpy()
            reports.append(divergence[:prompt - 1])
            answers.append(divergence[prompt - 1:])
            lost.append(-q[torch.arange(prompt - 1, len(tokens) - 1), torch.tensor(tokens[prompt:])].numpy())
        reports, answers, lost = map(np.concatenate, (reports, answers, lost))
        return {"mean": float(reports.mean()), "median": float(np.median(reports)), "answers": float(answers.mean()),
                "perplexity": float(np.exp(lost.mean()))}
