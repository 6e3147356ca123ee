"""Checkpoints that software which nobody here wrote makes of a model: a folder, and the weights that it stands for."""
import json
import shutil
import types

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from readers import all_tensors, by_bitsandbytes


def grid(weight, bits, group, symmetric):
    """(scales, zeros) [rows, groups] of plain min-max ranges, scales in binary16."""
    groups, top = weight.float().reshape(weight.shape[0], -1, group), 2**bits - 1
    if symmetric:
        scales = (groups.abs().amax(-1) * 2 / top).half()
        return scales, torch.full_like(scales, 2**(bits - 1), dtype=torch.int32)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scales = ((high - low) / top).half()
    return scales, (-low / scales.float()).round().clamp(0, top).int()


def is_linear(name, tensor):
    return tensor.dim() == 2 and name.startswith("model.layers.") and ".gate.weight" not in name


def write_folder(source, folder, settings, pack):
    """A folder whose linear layers are what `pack` makes of them: stored tensors by their part's name, and the weight."""
    folder.mkdir()
    tensors, weights = {}, {}
    for name, tensor in all_tensors(source).items():
        if not is_linear(name, tensor):
            tensors[name] = tensor.contiguous()
            continue
        module = name[:-len(".weight")]
        parts, weights[name] = pack(tensor)
        tensors |= {f"{module}.{part}": value.contiguous() for part, value in parts.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = settings
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            shutil.copy(source / name, folder)
    return weights


def gptqmodel(bits, group, symmetric, order, version):
    """A GPTQ checkpoint by GPTQModel's packer; version 1 stores zeros less one."""
    def write(source, folder):
        from gptqmodel.nn_modules.qlinear.torch import TorchLinear
        from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module, convert_gptq_v2_to_v1_format_module
        config = types.SimpleNamespace(bits=bits, pack_dtype=torch.int32)

        def pack(weight):
            rows, columns = weight.shape
            scales, zeros = grid(weight, bits, group, symmetric)
            linear = torch.nn.Linear(columns, rows, bias=False)
            linear.weight.data = weight.float()
            groups = torch.arange(columns, dtype=torch.int32) // group
            if order:
                groups = groups[torch.randperm(columns, generator=torch.Generator().manual_seed(columns))]
            layer = TorchLinear(bits=bits, group_size=group, sym=symmetric, desc_act=order, in_features=columns, out_features=rows,
                                bias=False, pack_dtype=torch.int32, register_buffers=True)
            layer.pack_original(linear, scales, zeros, groups)
            if version == "gptq":
                convert_gptq_v2_to_v1_format_module(layer, config)
            parts = {name: getattr(layer, name).clone() for name in ["qweight", "qzeros", "scales", "g_idx"]}
            if version == "gptq":
                convert_gptq_v1_to_v2_format_module(layer, bits=bits, pack_dtype=torch.int32)
            layer.post_init()
            return parts, layer.dequantize_weight().T

        settings = {"quant_method": "gptq", "bits": bits, "group_size": group, "sym": symmetric, "desc_act": order,
                    "checkpoint_format": version, "lm_head": False}
        return write_folder(source, folder, settings, pack)
    return write


def awq(group):
    """AutoAWQ's GEMM layout by GPTQModel's packer, which does not clamp."""
    def write(source, folder):
        from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
        from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

        def pack(weight):
            rows, columns = weight.shape
            scales, zeros = grid(weight, 4, group, False)
            wide_scales, wide_zeros = (x.repeat_interleave(group, 1).float() for x in (scales, zeros))
            codes = (weight.float() / wide_scales + wide_zeros).round().clamp(0, 15)
            linear = torch.nn.Linear(columns, rows, bias=False)
            linear.weight.data = (codes - wide_zeros) * wide_scales
            layer = AwqTorchLinear(bits=4, group_size=group, sym=False, desc_act=False, in_features=columns, out_features=rows,
                                   bias=False, register_buffers=True)
            layer.pack(linear, scales, zeros)
            parts = {name: getattr(layer, name).clone() for name in ["qweight", "qzeros", "scales"]}
            return parts, dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, 4, group).T

        settings = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}
        return write_folder(source, folder, settings, pack)
    return write


def compressed(form, arguments, symmetric=True):
    """By compressed-tensors' own compressors."""
    def write(source, folder):
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(symmetric=symmetric, **arguments))
        compressor = BaseCompressor.get_value_from_registry(form)

        def pack(weight):
            state = {"weight": weight.half()}
            if arguments["type"] == "float":
                state["weight_scale"] = (weight.float().abs().amax(1, keepdim=True) / 448).float()
            else:
                group = arguments.get("group_size", weight.shape[1])
                state["weight_scale"], zeros = grid(weight, arguments["num_bits"], group, symmetric)
                if not symmetric:
                    state["weight_zero_point"] = (zeros - 2**(arguments["num_bits"] - 1)).to(torch.int8)
            parts = compressor.compress(state, scheme)
            return dict(parts), compressor.decompress(dict(parts), scheme)["weight"]

        settings = {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
                    "config_groups": {"group_0": {"targets": ["Linear"], "weights": arguments | {"symmetric": symmetric}}}}
        return write_folder(source, folder, settings, pack)
    return write


def bitsandbytes(double):
    """transformers quantizes on the CPU and saves."""
    def write(source, folder):
        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
                                    bnb_4bit_compute_dtype=torch.float16)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float16, quantization_config=config, device_map="cpu")
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (source / name).exists():
                shutil.copy(source / name, folder)
        return by_bitsandbytes(folder, None, None)[0]
    return write


WRITERS = {
    "gptq4 v1": gptqmodel(4, 64, True, False, "gptq"),
    "gptq4 v2 asymmetric, act-order": gptqmodel(4, 64, False, True, "gptq_v2"),
    "gptq8 v2": gptqmodel(8, 128, True, False, "gptq_v2"),
    "gptq3 v2": gptqmodel(3, 64, True, False, "gptq_v2"),
    "gptq2 v1 asymmetric": gptqmodel(2, 64, False, False, "gptq"),
    "awq": awq(64),
    "int4 in groups": compressed("pack-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64}),
    "int4 in groups, asymmetric": compressed("pack-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64}, False),
    "int8 by channel": compressed("int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"}),
    "fp8 by channel": compressed("float-quantized", {"num_bits": 8, "type": "float", "strategy": "channel"}),
    "nf4": bitsandbytes(False),
    "nf4, double": bitsandbytes(True),
}
