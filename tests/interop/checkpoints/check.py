"""Loaders agree: see run. Usage: check.py STEPDOWN_ENGINE WORK_FOLDER [FILTER]: only checks whose name contains it"""
import json
import pathlib
import shutil
import sys

import torch
from transformers import AutoModelForCausalLM

from models import HARBOR, engine, engine_weights, random_model, reference_model, tokens_for, write_prompts
from readers import READERS
from writers import WRITERS

ENGINE, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
FILTER = sys.argv[3] if len(sys.argv) > 3 else ""
MIXTURES = ("mixtral", "qwen3_moe")

# Method, its arguments, who reads the result, and who reads that of a mixture, whose experts transformers 5 holds as one tensor.
CASES = {
    "int8": (["int8"], "transformers", "compressed-tensors"),
    "int8_tensor": (["int8", "--granularity", "tensor"], "transformers", "compressed-tensors"),
    "int4": (["int4", "--group-size", "64"], "transformers", "compressed-tensors"),
    "int4_asymmetric": (["int4", "--group-size", "64", "--asymmetric"], "compressed-tensors", "compressed-tensors"),
    "fp8": (["fp8"], "transformers", "compressed-tensors"),
    "fp8_tensor": (["fp8", "--granularity", "tensor"], "transformers", "compressed-tensors"),
    "smoothquant": (["smoothquant"], "transformers", "compressed-tensors"),
    "nf4": (["nf4"], "transformers", "bitsandbytes"),
    "fp8_block": (["fp8", "--granularity", "block"], "fp8_block", "fp8_block"),
    "gptq4": (["gptq", "--bits", "4", "--group-size", "64"], "gptqmodel", "gptqmodel"),
    "gptq3": (["gptq", "--bits", "3", "--group-size", "64"], "gptqmodel", "gptqmodel"),
    "gptq2_v2": (["gptq", "--bits", "2", "--group-size", "64", "--asymmetric", "--checkpoint-format", "gptq_v2"], "gptqmodel", "gptqmodel"),
    "gptq8_act_order": (["gptq", "--bits", "8", "--group-size", "64", "--no-static-groups"], "gptqmodel", "gptqmodel"),
    "awq": (["awq", "--group-size", "64"], "gptqmodel-awq", "gptqmodel-awq"),
}


def same_weights(theirs, ours, label):
    for key, value in theirs.items():
        assert torch.equal(value.half(), ours[key].half()), \
            f"{label}: {key} differs by {(value.float() - ours[key].float()).abs().max()}"


def check_written(family, model, prompts, name):
    """What this engine writes is what others read."""
    label = f"{family} {name}"
    if FILTER not in label:
        return
    arguments, reader, mixture_reader = CASES[name]
    reader = mixture_reader if family in MIXTURES else reader
    folder = WORK / "written"
    engine(ENGINE, "quantize", "--model", model, "--calibration", prompts, "--samples", 48, "--out", folder, "--method", *arguments)
    settings = json.loads((folder / "config.json").read_text())["quantization_config"]
    tokens = tokens_for(folder)
    theirs, logits = READERS[reader](folder, settings, tokens)
    ours = engine_weights(ENGINE, folder, WORK)
    expected = {key for key, value in ours.items() if value.dim() == 2 and key.startswith("model.layers.") and ".gate.weight" not in key}
    assert theirs.keys() == expected, f"{label}: read are {sorted(theirs.keys() ^ expected)[:4]} … too many or too few"
    same_weights(theirs, ours, label)
    line = f"ok {label:28} {len(theirs)} weights equal bit for bit, read by {reader}"
    if logits is not None:
        with torch.no_grad():
            reference = reference_model(ours, folder)(tokens).logits
        worst = ((logits - reference).abs().max() / reference.abs().max()).item()
        # transformers quantizes activations where the scheme says so, and bitsandbytes multiplies in bfloat16 on processors that
        # have it; this engine does neither.
        activations = settings.get("config_groups", {}).get("group_0", {}).get("input_activations")
        limit = 0.15 if activations else 2e-2 if settings["quant_method"] == "bitsandbytes" else 1e-3
        assert worst < limit, f"{label}: logits differ by {worst}"
        line += f", logits within {worst:.1e}"
    print(line, flush=True)
    shutil.rmtree(folder)


def check_read(family, model, name):
    """What others write is what this engine reads."""
    label = f"{family} read: {name}"
    if FILTER not in label:
        return
    folder = WORK / "read"
    theirs = WRITERS[name](model, folder)
    ours = engine_weights(ENGINE, folder, WORK)
    same_weights(theirs, ours, label)
    print(f"ok {label:40} {len(theirs)} weights equal bit for bit", flush=True)
    shutil.rmtree(folder)


def check_lora():
    """An adapter merged here gives PEFT's merged weights."""
    from peft import LoraConfig, get_peft_model
    torch.manual_seed(2)
    for rslora in [False, True]:
        base = AutoModelForCausalLM.from_pretrained(HARBOR / "model", dtype=torch.float32)
        model = get_peft_model(base, LoraConfig(r=8, lora_alpha=12, use_rslora=rslora, rank_pattern={"v_proj": 4},
                                                target_modules=["q_proj", "v_proj", "down_proj"]))
        for key, value in model.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(value, std=0.05)
        folder = WORK / f"adapter{int(rslora)}"
        model.save_pretrained(folder)
        merged = model.merge_and_unload().state_dict()
        ours = engine_weights(ENGINE, HARBOR / "model", WORK, "--adapter", folder)
        for key in [k for k in ours if "proj" in k]:
            difference = (merged[key].half().float() - ours[key].float()).abs().max().item()
            assert difference <= 1e-3 * merged[key].abs().max().item(), f"{key}: {difference}"
        print(f"ok lora rslora={rslora}: PEFT's merged weights, rounded to F16", flush=True)


def main():
    for name in CASES:
        check_written("harbor", HARBOR / "model", HARBOR / "data/heldout.jsonl", name)
    for name in WRITERS:
        check_read("harbor", HARBOR / "model", name)
    prompts = WORK / "prompts.jsonl"
    write_prompts(prompts)
    for family in ("qwen2", "qwen3", "gemma2", "gemma3", "phi3", "olmo2", *MIXTURES):
        model = WORK / family
        random_model(family, model)
        for name in ("int4", "int8", "fp8", "smoothquant", "nf4", "fp8_block", "gptq4", "gptq8_act_order", "awq"):
            check_written(family, model, prompts, name)
        for name in ("gptq4 v1", "awq", "int4 in groups", "fp8 by channel"):
            check_read(family, model, name)
        shutil.rmtree(model)
    if FILTER in "lora":
        check_lora()


if __name__ == "__main__":
    main()
