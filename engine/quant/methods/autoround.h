#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// AutoRound ("SignRound", Cheng et al. 2023): learns for every weight whether to round up or down, and for
/// every group how far to clip, by signed gradient descent on the layer's output error. Writes GPTQ's layout.
WeightMethod autoround_method();

}  // namespace stepdown::quant
