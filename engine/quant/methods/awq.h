#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// AWQ (Lin et al. 2023): columns of large inputs are scaled up before rounding, the layer in front scaled
/// down to match; then each group's range is clipped where that lowers the output's error. 4 bits, GEMM
/// layout.
WeightMethod awq_method();

}  // namespace stepdown::quant
