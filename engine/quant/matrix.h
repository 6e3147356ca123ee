#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/tensor.h"

namespace stepdown::quant {

/// A dense matrix of floats, row by row: a linear layer's weight is [outputs][inputs].
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;

  Matrix() = default;
  Matrix(std::int64_t row_count, std::int64_t column_count)
      : rows(row_count), columns(column_count), values(static_cast<std::size_t>(row_count * column_count)) {}

  float* row(std::int64_t index) { return values.data() + index * columns; }
  const float* row(std::int64_t index) const { return values.data() + index * columns; }
  std::span<float> row_span(std::int64_t index) { return {row(index), static_cast<std::size_t>(columns)}; }
  std::span<const float> row_span(std::int64_t index) const {
    return {row(index), static_cast<std::size_t>(columns)};
  }
  TensorView view() const { return {"", DType::kF32, {rows, columns}, std::as_bytes(std::span(values))}; }
};

}  // namespace stepdown::quant
