#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// bitsandbytes' NF4 with double quantization (Dettmers et al. 2023): 4-bit levels of a normal distribution,
/// one magnitude for 64 weights, itself 8 bits. No calibration data.
WeightMethod nf4_method();

}  // namespace stepdown::quant
