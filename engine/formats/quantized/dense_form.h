#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/base/tensor.h"
#include "engine/formats/quantized/affine_matrix.h"

namespace stepdown::formats {

/// A matrix in a type that the kernels multiply.
struct DenseForm {
  DType type = DType::kF16;
  std::vector<std::byte> bytes;
};

/// The affine matrix as blocks of 32 that hold exactly the same values, where scales are binary16 and groups
/// are whole blocks: Q4_0, Q5_0 or Q8_0 by the range of code − zero. Otherwise its values, rounded to `plain`
/// (F32, F16 or BF16) as the format's own loaders do.
DenseForm dense_form(const AffineMatrix& matrix, DType plain);

/// Values rounded to F32, F16 or BF16.
DenseForm dense_form(std::span<const float> values, DType plain);

}  // namespace stepdown::formats
