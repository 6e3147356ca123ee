"""Loaders agree: see run. Usage: check.py STEPDOWN_ENGINE WORK_FOLDER [METHOD…]"""
import json
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig, LlamaConfig, LlamaForCausalLM

HARBOR = pathlib.Path("examples/harbor-analytics")
CALIBRATION = HARBOR / "data/heldout.jsonl"
ENGINE, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
TOKENS = torch.randint(0, 2000, (1, 64), generator=torch.Generator().manual_seed(3))

# Method, its arguments, and who reads the result.
CASES = {
    "int8": (["int8"], "transformers"),
    "int8_tensor": (["int8", "--granularity", "tensor"], "transformers"),
    "int4": (["int4", "--group-size", "64"], "transformers"),
    "int4_asymmetric": (["int4", "--group-size", "64", "--asymmetric"], "compressed-tensors"),
    "fp8": (["fp8"], "transformers"),
    "fp8_tensor": (["fp8", "--granularity", "tensor"], "transformers"),
    "smoothquant": (["smoothquant"], "transformers"),
    "nf4": (["nf4"], "transformers"),
    "fp8_block": (["fp8", "--granularity", "block"], "fp8_block"),
    "gptq4": (["gptq", "--bits", "4", "--group-size", "64"], "gptq"),
    "gptq3": (["gptq", "--bits", "3", "--group-size", "64"], "gptq"),
    "gptq2_v2": (["gptq", "--bits", "2", "--group-size", "64", "--asymmetric"], "gptq"),
    "gptq8_act_order": (["gptq", "--bits", "8", "--group-size", "64", "--no-static-groups"], "gptq"),
    "awq": (["awq", "--group-size", "64"], "awq"),
}


def engine(*arguments):
    done = subprocess.run([ENGINE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"stepdown-engine {' '.join(map(str, arguments))}: {done.stderr}")


def engine_weights(model, config, *more):
    """The checkpoint as this engine reads it: F16 by Hugging Face names, rows of q and k put back."""
    file = WORK / "converted.gguf"
    engine("convert", "--model", model, "--out", file, *more)
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    weights = {}
    for tensor in gguf.GGUFReader(file).tensors:
        values = torch.from_numpy(np.array(tensor.data))
        parts = tensor.name.split(".")
        if parts[0] != "blk":
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[parts[0]]
        else:
            name = f"model.layers.{parts[1]}.{names[parts[2]]}"
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(parts[-2])
        if heads:
            rows, columns = values.shape
            values = values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        weights[name + ".weight"] = values
    return weights


def reference_model(weights, config):
    plain = LlamaConfig(**{k: v for k, v in config.to_dict().items() if k not in ("quantization_config", "dtype")})
    model = LlamaForCausalLM(plain)
    missing = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
    model.tie_weights()
    return model.float().eval()


def by_transformers(folder, config, settings):
    """Weights that transformers computes with, and its logits."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16).eval()
    weights = {}
    if settings["quant_method"] == "bitsandbytes":
        import bitsandbytes.functional as bnb
        for name, module in model.named_modules():
            if type(module).__name__ == "Linear4bit":
                weights[name + ".weight"] = bnb.dequantize_4bit(module.weight.data, module.weight.quant_state)
    else:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float16, quantization_config=CompressedTensorsConfig(run_compressed=False)).eval()
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                weights[name + ".weight"] = module.weight.data
    with torch.no_grad():
        quantized = settings["quant_method"] == "bitsandbytes"
        logits = (model if quantized else model.float())(TOKENS).logits.float()
    return weights, logits


def by_compressed_tensors(folder, config, settings):
    """transformers 5.23 cannot place packed zero points; the package it uses can."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    scheme = QuantizationScheme(**settings["config_groups"]["group_0"])
    compressor = BaseCompressor.get_value_from_registry(settings["format"])
    stored, weights = all_tensors(folder), {}
    for name in sorted({k.rsplit(".", 1)[0] for k in stored if k.endswith(".weight_packed")}):
        module = {k.rsplit(".", 1)[1]: v for k, v in stored.items() if k.rsplit(".", 1)[0] == name}
        weights[name + ".weight"] = compressor.decompress(module, scheme)["weight"]
    return weights, None


def by_gptq(folder, config, settings):
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
    stored, weights = all_tensors(folder), {}
    for name in sorted({k.rsplit(".", 1)[0] for k in stored if k.endswith(".qweight")}):
        module = {k.rsplit(".", 1)[1]: v for k, v in stored.items() if k.rsplit(".", 1)[0] == name}
        layer = TorchLinear(bits=settings["bits"], group_size=settings["group_size"], sym=settings["sym"],
                            desc_act=settings["desc_act"], in_features=module["g_idx"].numel(),
                            out_features=module["scales"].shape[1], bias=False, pack_dtype=torch.int32,
                            register_buffers=True)
        for key, value in module.items():
            setattr(layer, key, value)
        if settings["checkpoint_format"] == "gptq":
            convert_gptq_v1_to_v2_format_module(layer, bits=settings["bits"], pack_dtype=torch.int32)
        layer.post_init()
        weights[name + ".weight"] = layer.dequantize_weight().T
    return weights, None


def by_awq(folder, config, settings):
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    stored, weights = all_tensors(folder), {}
    for name in sorted({k.rsplit(".", 1)[0] for k in stored if k.endswith(".qweight")}):
        weights[name + ".weight"] = dequantize_gemm(stored[name + ".qweight"], stored[name + ".qzeros"],
                                                    stored[name + ".scales"], 4, settings["group_size"]).T
    return weights, None


def by_fp8_block(folder, config, settings):
    stored, weights = all_tensors(folder), {}
    rows, columns = settings["weight_block_size"]
    for name in [k[:-len("_scale_inv")] for k in stored if k.endswith("_scale_inv")]:
        scales = stored[name + "_scale_inv"].repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        codes = stored[name].float()
        weights[name] = (codes * scales[:codes.shape[0], :codes.shape[1]]).half()
    return weights, None


READERS = {"transformers": by_transformers, "compressed-tensors": by_compressed_tensors, "gptq": by_gptq, "awq": by_awq, "fp8_block": by_fp8_block}


def all_tensors(folder):
    return {k: v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}


def check_written(name):
    arguments, reader = CASES[name]
    folder = WORK / name
    engine("quantize", "--model", HARBOR / "model", "--calibration", CALIBRATION, "--samples", 48, "--out", folder,
           "--method", *arguments)
    config = LlamaConfig.from_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())["quantization_config"]
    theirs, logits = READERS[reader](folder, config, settings)
    ours = engine_weights(folder, config)
    assert len(theirs) == 7 * config.num_hidden_layers, f"{name}: {len(theirs)} layers read"
    for key, value in theirs.items():
        assert torch.equal(value.half(), ours[key].half()), \
            f"{name}: {key} differs by {(value.float() - ours[key].float()).abs().max()}"
    line = f"ok {name:16} {len(theirs)} weights equal bit for bit, read by {reader}"
    if logits is not None:
        with torch.no_grad():
            expected = reference_model(ours, config)(TOKENS).logits
        worst = ((logits - expected).abs().max() / expected.abs().max()).item()
        # transformers quantizes activations where the scheme says so, and computes NF4 in F16; this engine does neither.
        activations = settings.get("config_groups", {}).get("group_0", {}).get("input_activations")
        limit = 0.15 if activations else 1e-2 if settings["quant_method"] == "bitsandbytes" else 1e-3
        assert worst < limit, f"{name}: logits differ by {worst}"
        line += f", logits within {worst:.1e}"
    print(line, flush=True)


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
        config = LlamaConfig.from_pretrained(HARBOR / "model")
        ours = engine_weights(HARBOR / "model", config, "--adapter", folder)
        for key in [k for k in ours if "proj" in k]:
            difference = (merged[key].half().float() - ours[key].float()).abs().max().item()
            assert difference <= 1e-3 * merged[key].abs().max().item(), f"{key}: {difference}"
        print(f"ok lora rslora={rslora}: PEFT's merged weights, rounded to F16", flush=True)


if __name__ == "__main__":
    for case in sys.argv[3:] or CASES:
        check_written(case)
    if len(sys.argv) == 3:
        check_lora()
