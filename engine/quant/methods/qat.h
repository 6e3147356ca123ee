#pragma once

#include "engine/quant/method.h"

namespace stepdown::quant {

/// Quantization-aware training, then rounding; GPTQ's layout. For small models: it holds several copies of
/// the weights as F32.
Method qat_method();

}  // namespace stepdown::quant
