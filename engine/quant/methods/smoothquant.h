#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// SmoothQuant (Xiao et al. 2022) W8A8: outliers of activations are moved into the weights until both fit
/// INT8; weights a scale a channel, activations a scale a token as they come, or one measured scale
/// (--static-activations). compressed-tensors' int-quantized layout.
WeightMethod smoothquant_method();

}  // namespace stepdown::quant
