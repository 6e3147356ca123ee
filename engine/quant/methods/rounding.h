#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// Rounding to the nearest integer, in compressed-tensors' pack-quantized layout: no calibration data.
WeightMethod int8_method();
WeightMethod int4_method();

}  // namespace stepdown::quant
