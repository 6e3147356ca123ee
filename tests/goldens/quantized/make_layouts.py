#!/usr/bin/env python3
"""Writes <case>.safetensors and <case>.json: one linear module as the field's own software stores it, and what that
software dequantizes it to.

Usage: pip install torch==2.15.0 safetensors compressed-tensors==0.20.0 bitsandbytes==0.50.2, and gptqmodel==7.7.0 with
--no-deps; then ./make_layouts.py [gptq|awq|compressed|nf4|fp8]…
The JSON is {"rows", "columns", "quantization_config"}; tensor "expected" holds the weight, F32 or rounded to F16.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent
ROWS, COLUMNS = 64, 128
torch.manual_seed(11)
WEIGHT = torch.randn(ROWS, COLUMNS) * 0.05


def write(case, config, tensors, expected):
    save_file({k: v.contiguous() for k, v in {**tensors, "expected": expected.float()}.items()},
              FOLDER / f"{case}.safetensors")
    (FOLDER / f"{case}.json").write_text(json.dumps(
        {"rows": ROWS, "columns": COLUMNS, "quantization_config": config}, indent=1) + "\n")


def grid(bits, group, symmetric):
    """(scales, zeros) [rows, groups] of plain min-max ranges, scales in binary16."""
    w = WEIGHT.reshape(ROWS, -1, group)
    top = 2**bits - 1
    if symmetric:
        scales = (w.abs().amax(-1) * 2 / top).half()
        return scales, torch.full_like(scales, 2**(bits - 1), dtype=torch.int32)
    low, high = w.amin(-1).clamp(max=0), w.amax(-1).clamp(min=0)
    scales = ((high - low) / top).half()
    return scales, (-low / scales.float()).round().clamp(0, top).int()


def gptq():
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    for bits, group, symmetric, order in [(4, 32, True, False), (4, 32, False, True), (8, 128, True, False),
                                          (2, 32, False, False), (3, 32, True, False)]:
        scales, zeros = grid(bits, group, symmetric)
        linear = torch.nn.Linear(COLUMNS, ROWS, bias=False)
        linear.weight.data = WEIGHT.clone()
        groups = torch.arange(COLUMNS, dtype=torch.int32) // group
        if order:
            groups = groups[torch.randperm(COLUMNS)]
        layer = TorchLinear(bits=bits, group_size=group, sym=symmetric, desc_act=order, in_features=COLUMNS,
                            out_features=ROWS, bias=False, pack_dtype=torch.int32, register_buffers=True)
        layer.pack_original(linear, scales, zeros, groups)
        layer.post_init()
        expected = layer.dequantize_weight().T
        config = {"quant_method": "gptq", "bits": bits, "group_size": group, "sym": symmetric, "desc_act": order,
                  "checkpoint_format": "gptq_v2"}
        tensors = {name: getattr(layer, name) for name in ["qweight", "qzeros", "scales", "g_idx"]}
        write(f"gptq_v2_{bits}bit{'' if symmetric else '_asymmetric'}{'_act_order' if order else ''}", config, tensors,
              expected)


def awq():
    from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
    scales, zeros = grid(4, 32, False)
    linear = torch.nn.Linear(COLUMNS, ROWS, bias=False)
    expanded = lambda x: x.repeat_interleave(32, 1).float()
    codes = (WEIGHT / expanded(scales) + expanded(zeros)).round().clamp(0, 15)
    linear.weight.data = (codes - expanded(zeros)) * expanded(scales)  # its packer does not clamp
    layer = AwqTorchLinear(bits=4, group_size=32, sym=False, desc_act=False, in_features=COLUMNS, out_features=ROWS,
                           bias=False, register_buffers=True)
    layer.pack(linear, scales, zeros)
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    expected = dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, 4, 32).T
    write("awq", {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
          {name: getattr(layer, name) for name in ["qweight", "qzeros", "scales"]}, expected)


def compressed():
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    def one(case, form, args, scale, zero=None, activations=None):
        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args), input_activations=activations)
        compressor = BaseCompressor.get_value_from_registry(form)
        state = {"weight": WEIGHT.half(), "weight_scale": scale}
        if zero is not None:
            state["weight_zero_point"] = zero
        packed = compressor.compress(state, scheme)
        expected = compressor.decompress(dict(packed), scheme)["weight"]
        config = {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed",
                  "config_groups": {"group_0": {"targets": ["Linear"], "weights": args}}, "ignore": ["lm_head"]}
        write(case, config, packed, expected)

    for bits in [4, 8]:
        scales, _ = grid(bits, 32, True)
        args = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
        one(f"pack_quantized_{bits}bit", "pack-quantized", args, scales)
    scales, zeros = grid(4, 32, False)
    one("pack_quantized_asymmetric", "pack-quantized",
        {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 32}, scales,
        (zeros - 8).to(torch.int8))
    scales, _ = grid(8, COLUMNS, True)
    one("int_quantized", "int-quantized", {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
        scales)
    channel = (WEIGHT.abs().amax(1, keepdim=True) / 448).float()
    one("float_quantized", "float-quantized", {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel"},
        channel)


def nf4():
    import bitsandbytes.functional as bnb
    for double in [False, True]:
        packed, state = bnb.quantize_4bit(WEIGHT.half(), quant_type="nf4", compress_statistics=double)
        tensors = {"weight": packed, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
        config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
        write("nf4_double" if double else "nf4", config, tensors, bnb.dequantize_4bit(packed, state))


def fp8():
    block = 32
    tiles = WEIGHT.reshape(ROWS // block, block, COLUMNS // block, block)
    scales = tiles.abs().amax((1, 3)) / 448
    spread = scales.repeat_interleave(block, 0).repeat_interleave(block, 1)
    codes = (WEIGHT / spread).to(torch.float8_e4m3fn)
    write("fp8_block", {"quant_method": "fp8", "weight_block_size": [block, block]},
          {"weight": codes, "weight_scale_inv": scales}, (codes.float() * spread).half())


for name in sys.argv[1:] or ["gptq", "awq", "compressed", "nf4", "fp8"]:
    globals()[name]()
