"""Ask the exported folder held-out questions, with a forward pass of its own: python3 -m training.check model

Plain numpy over the F16 file, no torch: what it answers is what the weights say, not what training believed.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from harbor import schema as json_schema
from harbor.batch import FIELDS, fields_right
from harbor.generate import held_out
from harbor.progress import Progress
from training import tokenizer as tokenizers

MAX_TOKENS = 160


def read_safetensors(path: Path) -> dict:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, one in header.items():
        begin, end = (8 + length + offset for offset in one["data_offsets"])
        tensors[name] = np.frombuffer(content[begin:end], np.float16).reshape(one["shape"]).astype(np.float32)
    return tensors


class Model:
    """One sequence with its KV cache."""

    def __init__(self, folder: Path):
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = read_safetensors(folder / "model.safetensors")

    def start(self):
        self.cache = [None] * self.config["num_hidden_layers"]
        self.position = 0

    def _norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["rms_norm_eps"]) * self.tensors[name]

    def _rotate(self, x):
        size = self.config["head_dim"]
        frequency = self.config["rope_theta"] ** (-np.arange(0, size, 2) / size)
        angle = (self.position + np.arange(x.shape[0]))[:, None] * frequency
        cos, sin = np.cos(np.tile(angle, 2))[:, None], np.sin(np.tile(angle, 2))[:, None]
        return x * cos + np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], -1) * sin

    def logits(self, ids):
        """Feeds tokens; the logits after the last one."""
        config, tensors = self.config, self.tensors
        heads, kv_heads, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
        length = len(ids)
        x = tensors["model.embed_tokens.weight"][ids]
        for layer in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            weight = lambda name: tensors[f"{prefix}{name}.weight"].T  # noqa: E731
            h = self._norm(x, prefix + "input_layernorm.weight")
            q = self._rotate((h @ weight("self_attn.q_proj")).reshape(length, heads, size))
            k = self._rotate((h @ weight("self_attn.k_proj")).reshape(length, kv_heads, size))
            v = (h @ weight("self_attn.v_proj")).reshape(length, kv_heads, size)
            if self.cache[layer]:
                k, v = np.concatenate([self.cache[layer][0], k]), np.concatenate([self.cache[layer][1], v])
            self.cache[layer] = (k, v)
            k, v = np.repeat(k, heads // kv_heads, 1), np.repeat(v, heads // kv_heads, 1)
            scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
            scores += np.triu(np.full((length, k.shape[0]), -np.inf), 1 + k.shape[0] - length)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
            x = x + attended.reshape(length, -1) @ weight("self_attn.o_proj")
            h = self._norm(x, prefix + "post_attention_layernorm.weight")
            gate = h @ weight("mlp.gate_proj")
            x = x + (gate / (1 + np.exp(-gate)) * (h @ weight("mlp.up_proj"))) @ weight("mlp.down_proj")
        self.position += length
        return self._norm(x[-1], "model.norm.weight") @ tensors["model.embed_tokens.weight"].T

    def generate(self, ids) -> list[int]:
        self.start()
        out, feed = [], ids
        while len(out) < MAX_TOKENS:
            token = int(self.logits(feed).argmax())
            if token == self.config["eos_token_id"]:
                break
            out.append(token)
            feed = [token]
        return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    tokenizer, model = tokenizers.load(arguments.folder), Model(arguments.folder)
    schema = json.loads((Path(__file__).parent.parent / "schema.json").read_text())
    valid = right = whole = 0
    progress = Progress("held-out", arguments.count, "documents")
    for one in held_out(arguments.count):
        text = tokenizer.decode(model.generate(tokenizer.encode(tokenizers.prompt_text(one.text)).ids))
        valid += json_schema.text_violation(text, schema) is None
        right += fields_right(text, one.answer)
        whole += text == json.dumps(one.answer, separators=(",", ":"))
        progress.advance()
    count = arguments.count
    print(f"JSON {valid / count:.1%}, fields {right / (len(FIELDS) * count):.1%}, whole answers {whole / count:.1%}")
    return 0 if valid >= 0.95 * count and right >= 0.9 * len(FIELDS) * count else 1


if __name__ == "__main__":
    sys.exit(main())
