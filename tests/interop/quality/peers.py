"""The same model by this engine and by a reference, and the processor time of each."""
import json
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import held_out
from awq_reference import quantize_layer
from models import engine

GROUP, SAMPLES = 64, 64
PRESET = "Q4_K_S"


def tokens_of(model, prompts):
    """The prompts as this engine reads them."""
    lines = [json.loads(line) for line in prompts.read_text().splitlines()]
    if "text" in lines[0]:  # the random models know single characters
        known = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
        return [[known[character] for character in line["text"]] for line in lines]
    tokenizer = AutoTokenizer.from_pretrained(model)
    return [held_out.tokens_of(tokenizer, held_out.chat_of(line)) for line in lines]


def by_engine(program, method, model, prompts, target):
    """`method`: its name and settings; `prompts`: None for one that needs none. Checks that the tokens are those of tokens_of."""
    report, used = target.with_suffix(".report"), resource.getrusage(resource.RUSAGE_CHILDREN)
    calibration = ["--calibration", prompts, "--samples", SAMPLES] if prompts else []
    engine(program, "quantize", "--model", model, "--method", *method, *calibration, "--report", report, "--out", target)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    if prompts:
        seen, meant = json.loads(report.read_text())["calibration"]["tokens"], sum(map(len, tokens_of(model, prompts)))
        if seen != meant:
            sys.exit(f"calibrated on {seen} tokens here, {meant} by the reference")
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def copy_tokenizer(model, folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (model / name).exists():
            shutil.copy(model / name, folder)


def by_llmcompressor(_, model, prompts, folder):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier
    tokens = tokens_of(model, prompts)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    rows = Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * len(one) for one in tokens]})
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP, "actorder": "static"}
    recipe = GPTQModifier(config_groups={"group_0": {"targets": ["Linear"], "weights": weights}}, ignore=["lm_head"], dampening_frac=0.01)
    began = time.process_time()
    # The rows are tokens already; it wants a tokenizer all the same.
    oneshot(model=loaded, processor=AutoTokenizer.from_pretrained(held_out.MODEL), dataset=rows, recipe=recipe,
            num_calibration_samples=len(tokens), max_seq_length=max(map(len, tokens)))
    seconds = time.process_time() - began
    loaded.save_pretrained(folder, save_compressed=True)
    copy_tokenizer(model, folder)
    return seconds


def by_numpy(_, model, prompts, folder):
    """The whole model by the reference of AWQ, as F16."""
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    state = {k: v for k, v in loaded.state_dict().items()}
    places = {"self_attn.q_proj": "attention", "self_attn.o_proj": "o_proj", "mlp.gate_proj": "mlp", "mlp.down_proj": "down_proj"}
    seen = {}
    hooks = []
    for index, layer in enumerate(loaded.model.layers):
        for module, place in places.items():
            hooks.append(layer.get_submodule(module).register_forward_pre_hook(
                lambda _, args, key=(index, place): seen.setdefault(key, []).append(args[0][0].detach())))
    tokens = tokens_of(model, prompts)
    began = time.process_time()
    with torch.no_grad():
        for one in tokens:
            loaded(torch.tensor([one]))
    for hook in hooks:
        hook.remove()
    for index in range(len(loaded.model.layers)):
        prefix = f"model.layers.{index}."
        layer = {k[len(prefix):]: v.numpy() for k, v in state.items() if k.startswith(prefix)}
        quantize_layer(layer, {place: torch.cat(seen[index, place]).numpy() for place in places.values()}, GROUP)
        state |= {prefix + k: torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)) for k, v in layer.items()}
    seconds = time.process_time() - began
    folder.mkdir()
    tied = loaded.config.tie_word_embeddings
    save_file({k: v.half().contiguous().clone() for k, v in state.items() if not (tied and k == "lm_head.weight")},
              folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(model / "config.json", folder)
    copy_tokenizer(model, folder)
    return seconds


def by_llamacpp(programs):
    """llama-quantize with what llama-imatrix gathers over the same prompts, as text in its own chunks."""
    def run(program, model, prompts, target):
        source, text, imatrix = (target.with_suffix(suffix) for suffix in (".f16.gguf", ".txt", ".imatrix.gguf"))
        engine(program, "convert", "--model", model, "--out", source)
        tokenizer = AutoTokenizer.from_pretrained(model)
        lines = map(json.loads, prompts.read_text().splitlines())
        text.write_text("".join(tokenizer.apply_chat_template(held_out.chat_of(line), tokenize=False) for line in lines))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        for command in ([programs["llama-imatrix"], "-m", source, "-f", text, "-o", imatrix, "-c", 512, "-t", 2, "--parse-special", "--no-ppl"],
                        [programs["llama-quantize"], "--imatrix", imatrix, source, target, PRESET, 2]):
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, errors="replace")
            if done.returncode != 0:
                sys.exit(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return run
