"""What each step but serving predicts beside what it took: quantization by every method, conversion, merging, evaluation.

Models and prompts are as large as tells one matrix, one block or one cache too many from the prediction: each is over 32 MiB.
"""
import json
import os
import re
import subprocess

import random_model

SHAPE = {"hidden": 1024, "feed_forward": 2816, "heads": 16, "kv_heads": 4}
MODELS = {
    "block": SHAPE | {"layers": 1},
    "blocks": SHAPE | {"layers": 2},
    "90M": SHAPE | {"layers": 8},
    "25M": {"hidden": 512, "feed_forward": 1408, "layers": 8, "heads": 8, "kv_heads": 8},
}
# Methods that search take longer, and hold no more of two blocks than of one.
QUANTIZATIONS = {
    "gguf": ("blocks", ["--preset", "Q4_K_M"]),
    "mixed": ("block", ["--budget", "10M"]),
    "int8": ("blocks", []),
    "int4": ("blocks", []),
    "nf4": ("blocks", []),
    "fp8": ("blocks", []),
    "smoothquant": ("blocks", []),
    "gptq": ("block", []),
    "awq": ("block", []),
    "autoround": ("block", ["--steps", "2"]),
    "qat": ("blocks", ["--steps", "1"]),
}


def write_prompts(path, count, words, expected=None):
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            text = " ".join(f"{'abcdefghij'[(i + j) % 10]}{i * j % 97}" for j in range(words))
            line = {"messages": [{"role": "user", "content": text}]} | ({"expected": expected} if expected else {})
            out.write(json.dumps(line) + "\n")


def write_adapter(folder, model="90M", rank=8):
    """PEFT's files, of LoRA on the down projections: their product is as large as the matrix that it changes."""
    folder.mkdir()
    tensors, shape = {}, MODELS[model]
    for layer in range(shape["layers"]):
        name = f"base_model.model.model.layers.{layer}.mlp.down_proj.lora_"
        tensors |= {name + "A.weight": [rank, shape["feed_forward"]], name + "B.weight": [shape["hidden"], rank]}
    random_model.write_safetensors(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": ["down_proj"], "bias": "none", "fan_in_fan_out": False}))


class Steps:
    """Each gives rows of what was run, what it predicted and what it took."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        folder.mkdir()

    def model(self, name):
        path = self.folder / name
        if not path.exists():
            random_model.write(path, **MODELS[name])
        return path

    def run(self, name, *command):
        report = self.folder / "step.json"
        command = [self.engine, *map(str, command), "--report", str(report), "--threads", "2"]
        log = self.folder / "step.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
            _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, f"{command}: {log.read_text()[-2000:]}"
        found = json.loads(report.read_text())
        predicted, took = found["predictedMemoryBytes"], found["peakMemoryBytes"]
        # The kernel's own account at the process's end: no step may report less than it took.
        assert name.startswith("evaluate") or abs(took - (usage.ru_maxrss << 10)) < 8 << 20, f"{name} took {usage.ru_maxrss << 10}, not {took}"
        return name, predicted, took

    def quantize(self):
        unknown = subprocess.run([self.engine, "quantize", "--model", self.model("block"), "--out", self.folder / "none", "--method", "none"],
                                 capture_output=True, text=True, check=False).stderr
        methods = set(re.search(r"supported: ([\w, ]+)", unknown)[1].split(", "))
        assert methods == set(QUANTIZATIONS), f"not measured, or not there: {methods ^ set(QUANTIZATIONS)}"
        prompts = self.folder / "prompts.jsonl"
        write_prompts(prompts, 8, 180)
        for method, (model, more) in QUANTIZATIONS.items():
            yield self.run(method, "quantize", "--model", self.model(model), "--out", self.folder / f"out-{method}", "--method", method,
                     "--calibration", prompts, *more)

    def convert(self):
        out = self.folder / "converted.gguf"
        yield self.run("convert", "convert", "--model", self.model("90M"), "--out", out)
        adapter = self.folder / "adapter"
        write_adapter(adapter)
        yield self.run("convert, merging an adapter", "convert", "--model", self.model("90M"), "--adapter", adapter, "--out", out)

    def evaluate(self):
        prompts = self.folder / "held-out.jsonl"
        write_prompts(prompts, 6, 120)
        short = ["--dataset", prompts, "--max-tokens", "8", "--context", "4096"]
        yield self.run("evaluate, a cache partly filled", "evaluate", "--model", self.model("25M"), *short, "--concurrency", "4")
        yield self.run("evaluate, a checked INT8 cache", "evaluate", "--model", self.model("25M"), *short, "--kv-type", "int8")
        yield self.run("evaluate beside a reference", "evaluate", "--model", self.model("25M"), *short, "--reference", self.model("25M"))
        adapter = self.folder / "reference-adapter"
        write_adapter(adapter, "25M")
        yield self.run("evaluate beside a reference with an adapter", "evaluate", "--model", self.model("25M"), *short,
                       "--reference", self.model("25M"), "--reference-adapter", adapter)
