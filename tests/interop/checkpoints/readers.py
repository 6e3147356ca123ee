"""What software that nobody here wrote reads of a checkpoint: the weight of each quantized module."""
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig


def all_tensors(folder):
    return {k: v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}


def modules_with(folder, *parts):
    """Stored tensors by module, of those modules that hold one of the parts."""
    stored, modules = all_tensors(folder), {}
    for name in sorted({k.rsplit(".", 1)[0] for k in stored if k.rsplit(".", 1)[1] in parts}):
        modules[name] = {k.rsplit(".", 1)[1]: v for k, v in stored.items() if k.rsplit(".", 1)[0] == name}
    return modules


def by_transformers(folder, settings, tokens):
    """The whole model, as transformers computes with it: weights and logits."""
    weights = {}
    if settings["quant_method"] == "bitsandbytes":
        import bitsandbytes.functional as bnb
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16).eval()
        for name, module in model.named_modules():
            if type(module).__name__ == "Linear4bit":
                weights[name + ".weight"] = bnb.dequantize_4bit(module.weight.data, module.weight.quant_state)
    else:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float16, quantization_config=CompressedTensorsConfig(run_compressed=False)).eval()
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                weights[name + ".weight"] = module.weight.data
        model = model.float()
    with torch.no_grad():
        return weights, model(tokens).logits.float()


def by_compressed_tensors(folder, settings, tokens):
    """Module by module: transformers 5.23 cannot place packed zero points, and holds experts as one tensor."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    scheme = QuantizationScheme(**settings["config_groups"]["group_0"])
    compressor = BaseCompressor.get_value_from_registry(settings["format"])
    return {name + ".weight": compressor.decompress(module, scheme)["weight"]
            for name, module in modules_with(folder, "weight_packed", "weight_scale").items()}, None


def by_bitsandbytes(folder, settings, tokens):
    import bitsandbytes.functional as bnb
    weights = {}
    stored = all_tensors(folder)
    for key in [k for k in stored if k.endswith(".weight") and stored[k].dtype == torch.uint8]:
        parts = {k: v for k, v in stored.items() if k.startswith(key + ".")}
        state = bnb.QuantState.from_dict(parts, device="cpu")
        weights[key] = bnb.dequantize_4bit(stored[key], state)
    return weights, None


def by_gptq(folder, settings, tokens):
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
    weights = {}
    for name, module in modules_with(folder, "qweight").items():
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


def by_awq(folder, settings, tokens):
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    return {name + ".weight": dequantize_gemm(module["qweight"], module["qzeros"], module["scales"], settings["bits"],
                                              settings["group_size"]).T
            for name, module in modules_with(folder, "qweight").items()}, None


def by_fp8_block(folder, settings, tokens):
    """transformers' fp8 needs a GPU to load; what it computes is codes times the scale of their block."""
    rows, columns = settings["weight_block_size"]
    stored, weights = all_tensors(folder), {}
    for name in [k[:-len("_scale_inv")] for k in stored if k.endswith("weight_scale_inv")]:
        scales = stored[name + "_scale_inv"].repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        codes = stored[name].float()
        weights[name] = (codes * scales[:codes.shape[0], :codes.shape[1]]).half()
    return weights, None


READERS = {"transformers": by_transformers, "compressed-tensors": by_compressed_tensors, "bitsandbytes": by_bitsandbytes,
           "gptqmodel": by_gptq, "gptqmodel-awq": by_awq, "fp8_block": by_fp8_block}
