"""See run. Usage: compare.py STEPDOWN_ENGINE WORK_FOLDER [gptq|awq|MODEL]…"""
import json
import pathlib
import resource
import shutil
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from awq_reference import quantize_layer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checkpoints"))
from models import HARBOR, engine, engine_weights, random_model, reference_model, write_prompts

ENGINE, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
WANTED = [one for one in sys.argv[3:] if one in ("gptq", "awq")] or ["gptq", "awq"]
ONLY = [one for one in sys.argv[3:] if one not in WANTED]
GROUP, SAMPLES, TRAINING_SEED = 64, 64, 777
FAMILIES = ("qwen2", "qwen3", "gemma2")


def harbor_prompts(path):
    """Reports with their answers, as the model was trained on; none of them is held out."""
    sys.path.insert(0, str(HARBOR))
    from harbor import incidents
    with open(path, "w", encoding="utf-8") as out:
        for index in range(SAMPLES):
            one = incidents.incident(TRAINING_SEED, index, held_out=False)
            out.write(json.dumps({"messages": [{"role": "user", "content": one.text}], "expected": one.answer}) + "\n")


def tokens_of(model, prompts):
    """The prompts as this engine reads them."""
    lines = [json.loads(line) for line in prompts.read_text().splitlines()]
    if "text" in lines[0]:  # the random models know single characters
        known = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
        return [[known[character] for character in line["text"]] for line in lines]
    tokenizer = AutoTokenizer.from_pretrained(model)
    chats = [line["messages"] + [{"role": "assistant", "content": json.dumps(line["expected"])}] for line in lines]
    found = [tokenizer.apply_chat_template(chat, tokenize=True, add_generation_prompt=False) for chat in chats]
    return [list(one["input_ids"]) if hasattr(one, "keys") else list(one) for one in found]


def by_llmcompressor(model, tokens, folder):
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    rows = Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * len(one) for one in tokens]})
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP, "actorder": "static"}
    recipe = GPTQModifier(config_groups={"group_0": {"targets": ["Linear"], "weights": weights}}, ignore=["lm_head"], dampening_frac=0.01)
    began = time.process_time()
    # The rows are tokens already; it wants a tokenizer all the same.
    oneshot(model=loaded, processor=AutoTokenizer.from_pretrained(HARBOR / "model"), dataset=rows, recipe=recipe, num_calibration_samples=len(tokens), max_seq_length=max(map(len, tokens)))
    seconds = time.process_time() - began
    loaded.save_pretrained(folder, save_compressed=True)
    copy_tokenizer(model, folder)
    return seconds


def copy_tokenizer(model, folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (model / name).exists():
            shutil.copy(model / name, folder)


def by_numpy(model, tokens, folder):
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


def by_engine(method, model, prompts, folder):
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    engine(ENGINE, "quantize", "--model", model, "--method", method, "--calibration", prompts, "--samples", SAMPLES,
           "--group-size", GROUP, "--out", folder)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def on_harbor(folder):
    """Perplexity and KL divergence over the held-out reports."""
    report = WORK / "evaluation.json"
    engine(ENGINE, "evaluate", "--model", folder, "--reference", HARBOR / "model", "--dataset", HARBOR / "data/heldout.jsonl",
           "--max-tokens", 1, "--report", report)
    metrics = json.loads(report.read_text())["metrics"]
    return metrics["perplexity"]["value"], metrics["kld"]["value"]


def layer_errors(model, folder, tokens):
    """‖y_q − y‖ / ‖y‖ of each decoder layer, fed with what the model in full precision passes on."""
    exact = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    other = reference_model(engine_weights(ENGINE, folder, WORK), folder)
    lost, energy = [0.0] * len(exact.model.layers), [0.0] * len(exact.model.layers)

    def compare(index):
        def hook(_, args, kwargs, output):
            result = other.model.layers[index](*args, **kwargs)
            mine, theirs = (x[0] if isinstance(x, tuple) else x for x in (output, result))
            lost[index] += (theirs - mine).square().sum().item()
            energy[index] += mine.square().sum().item()
        return hook

    for index, layer in enumerate(exact.model.layers):
        layer.register_forward_hook(compare(index), with_kwargs=True)
    with torch.no_grad():
        for one in tokens[:16]:
            exact(torch.tensor([one]), use_cache=False)
    return [(a / b) ** 0.5 for a, b in zip(lost, energy)]


def main():
    peers = {"gptq": ("llmcompressor", by_llmcompressor), "awq": ("NumPy reference", by_numpy)}
    worse = []
    models = [("harbor", HARBOR / "model")]
    for family in FAMILIES:
        random_model(family, WORK / family)
        models.append((family, WORK / family))
    prompts = {"harbor": WORK / "harbor.jsonl"}
    harbor_prompts(prompts["harbor"])
    write_prompts(WORK / "random.jsonl")
    for method in WANTED:
        label, peer = peers[method]
        for name, model in models:
            if ONLY and name not in ONLY:
                continue
            given = prompts.get(name, WORK / "random.jsonl")
            tokens = tokens_of(model, given)
            ours, theirs = WORK / "ours", WORK / "theirs"
            seconds = by_engine(method, model, given, ours), peer(model, tokens, theirs)
            layers = AutoModelForCausalLM.from_pretrained(model).config.num_hidden_layers
            times = f"{seconds[0] / layers:.2f} processor seconds a layer, {label} {seconds[1] / layers:.2f}"
            if name == "harbor":
                (perplexity, kld), (peer_perplexity, peer_kld) = on_harbor(ours), on_harbor(theirs)
                ratio = perplexity / peer_perplexity
                print(f"{method} {name}: perplexity {perplexity:.5f}, {label} {peer_perplexity:.5f}; KL divergence {kld:.6f}, {peer_kld:.6f}; "
                      f"{times}", flush=True)
            else:
                errors, peer_errors = layer_errors(model, ours, tokens), layer_errors(model, theirs, tokens)
                ratio = sum(errors) / sum(peer_errors)  # a single layer's differ by chance, a few percent either way
                print(f"{method} {name}: errors of layers' outputs {', '.join(f'{e:.6f}' for e in errors)}, {label} "
                      f"{', '.join(f'{e:.6f}' for e in peer_errors)}, {ratio:.4f} x; {times}", flush=True)
            if ratio > 1.01:
                worse.append(f"{method} {name}: {ratio:.4f} x {label}")
            shutil.rmtree(ours)
            shutil.rmtree(theirs)
    if worse:
        sys.exit("worse than the reference:\n" + "\n".join(worse))


if __name__ == "__main__":
    main()
