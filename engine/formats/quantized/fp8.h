#pragma once

#include <vector>

#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/named_tensor.h"
#include "engine/formats/quantized/scaled_float8.h"

namespace stepdown::formats {

/// transformers' and vLLM's "fp8": weight E4M3, with weight_scale F32 [1], or in blocks weight_scale_inv
/// [⌈out/bn⌉, ⌈in/bk⌉], which multiplies despite its name.
std::vector<NamedTensor> pack_fp8_blocks(const ScaledFloat8& matrix);

ReadWeight fp8_reader(const JsonView& config);

}  // namespace stepdown::formats
