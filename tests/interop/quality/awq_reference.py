"""AWQ (Lin et al. 2023, https://arxiv.org/abs/2306.00978) as the paper states it, in NumPy.

Each group of linear layers that read the same input X is scaled by s = mean|X|^α, normalized by √(max·min), with the α of
20 in [0, 1) that gives the least ‖Q(W·diag(s))·diag(s)⁻¹·X − W·X‖ (equation 4); what comes before is divided by s. Then each
group of weights but those of queries and keys is clipped to the share of its range, of 10 down to one half, that gives the
least error of its part of the output. Weights are asymmetric 4-bit integers with a scale and a zero a group. Layers are
calibrated on what the model in full precision passes on, as in the authors' program (llm-awq).
"""
import numpy as np

RATIOS, CLIPS, CLIP_TOKENS = 20, 10, 512


def rounded(weight, group, share=1.0):
    """Quantized and back; the range of a group narrowed to a share of it (a number, or one a group)."""
    groups = weight.reshape(weight.shape[0], -1, group)
    low = np.minimum(groups.min(-1, keepdims=True), 0) * share
    high = np.maximum(groups.max(-1, keepdims=True), 0) * share
    scale = np.maximum((high - low) / 15, 1e-8).astype(np.float16).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, 15)
    codes = np.clip(np.rint(groups / scale + zero), 0, 15)
    return ((codes - zero) * scale).reshape(weight.shape)


def best_scales(weights, inputs, group):
    magnitude = np.abs(inputs).mean(0)
    outputs = [inputs @ weight.T for weight in weights]
    best, least = None, np.inf
    for step in range(RATIOS):
        scales = np.maximum(magnitude ** (step / RATIOS), 1e-4)
        scales = scales / np.sqrt(scales.max() * scales.min())
        error = sum(np.square(inputs @ (rounded(weight * scales, group) / scales).T - output).sum()
                    for weight, output in zip(weights, outputs))
        if error < least:
            best, least = scales, error
    return best


def best_clips(weight, inputs, group):
    """The share of its range that each group keeps."""
    inputs = inputs[::max(1, inputs.shape[0] // CLIP_TOKENS)][:CLIP_TOKENS]
    parts = inputs.reshape(inputs.shape[0], -1, group)
    groups = weight.reshape(weight.shape[0], -1, group)
    best = np.ones((weight.shape[0], groups.shape[1], 1), np.float32)
    least = np.full((weight.shape[0], groups.shape[1]), np.inf)
    for step in range(CLIPS):
        share = 1 - 0.5 * step / CLIPS
        difference = rounded(weight, group, share).reshape(groups.shape) - groups
        error = np.square(np.einsum("tgi,rgi->trg", parts, difference, optimize=True)).sum(0)
        best[error < least] = share
        least = np.minimum(error, least)
    return best


def quantize_layer(layer, inputs, group):
    """Changes the weights in `layer` (names of its tensors → arrays) to what AWQ gives; `inputs`: what "attention", "o_proj",
    "mlp" and "down_proj" read, [tokens, width]."""
    names = {"q": "self_attn.q_proj.weight", "k": "self_attn.k_proj.weight", "v": "self_attn.v_proj.weight",
             "o": "self_attn.o_proj.weight", "gate": "mlp.gate_proj.weight", "up": "mlp.up_proj.weight", "down": "mlp.down_proj.weight"}
    before_mlp = "pre_feedforward_layernorm" if "pre_feedforward_layernorm.weight" in layer else "post_attention_layernorm"
    offset = 1.0 if "pre_feedforward_layernorm.weight" in layer else 0.0  # Gemma stores norms as differences from 1
    groups = [("attention", ["q", "k", "v"], "input_layernorm.weight"), ("mlp", ["gate", "up"], before_mlp + ".weight"),
              ("down_proj", ["down"], names["up"])]
    if layer[names["v"]].shape[0] == layer[names["o"]].shape[1]:
        groups.insert(1, ("o_proj", ["o"], names["v"]))
    inputs = dict(inputs)
    for place, readers, before in groups:
        scales = best_scales([layer[names[reader]] for reader in readers], inputs[place], group)
        for reader in readers:
            layer[names[reader]] = layer[names[reader]] * scales
        if layer[before].ndim == 2:
            layer[before] = layer[before] / scales[:, None]
            bias = before[:-len("weight")] + "bias"
            if bias in layer:
                layer[bias] = layer[bias] / scales
        else:
            layer[before] = (layer[before] + offset) / scales - offset
        inputs[place] = inputs[place] / scales
    for name, place in (("q", "attention"), ("k", "attention"), ("v", "attention"), ("o", "o_proj"), ("gate", "mlp"), ("up", "mlp"),
                        ("down", "down_proj")):
        weight = layer[names[name]]
        share = 1.0 if name in "qk" else best_clips(weight, inputs[place], group)
        layer[names[name]] = rounded(weight, group, share)
