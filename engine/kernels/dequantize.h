#pragma once

#include <cstddef>
#include <span>

#include "engine/base/dtype.h"

namespace stepdown::kernels {

/// Scalar reference: one row of stored blocks → floats. `elements` must be whole blocks (row_bytes says so).
/// Bit-exact with ggml's dequantize_row_* (ggml-quants.c). Throws Error for a type without a decoder.
void dequantize_row(DType type, std::span<const std::byte> row, std::span<float> out);

}  // namespace stepdown::kernels
