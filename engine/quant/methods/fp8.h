#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// FP8 E4M3 weights: a scale a channel (default) or tensor in compressed-tensors' float-quantized layout, or
/// one for 128 × 128 in transformers' fp8 layout. Activations are scaled as they come, or by one measured
/// scale
/// (--static-activations, tensor alone).
WeightMethod fp8_method();

}  // namespace stepdown::quant
