#pragma once

#include <cstddef>
#include <span>

#include "engine/base/dtype.h"

namespace stepdown::quant {

/// Whether rows can be written in this type.
bool can_encode(DType type);

/// One row of weights → the stored bytes of `type` (row_bytes says how many). `importance`: the mean square
/// of each column's inputs (an importance matrix), or empty. Throws Error when the lengths do not fit or the
/// type has no encoder. Weights must be finite and within binary16's range (encodable() tells).
void encode_row(DType type, std::span<const float> weights, std::span<const float> importance,
                std::span<std::byte> out);

/// Whether every weight is finite and at most 65504 in magnitude.
bool encodable(std::span<const float> weights);

}  // namespace stepdown::quant
