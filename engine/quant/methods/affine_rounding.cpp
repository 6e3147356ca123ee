#include "engine/quant/methods/affine_rounding.h"

#include <algorithm>

namespace stepdown::quant {

using formats::AffineMatrix;

AffineMatrix empty_affine(const Matrix& weight, int bits, std::int64_t group_size) {
  AffineMatrix matrix;
  matrix.rows = weight.rows;
  matrix.columns = weight.columns;
  matrix.bits = bits;
  matrix.group_size = group_size > 0 ? std::min(group_size, weight.columns) : weight.columns;
  const auto groups = static_cast<std::size_t>(matrix.rows * matrix.groups());
  matrix.codes.resize(weight.values.size());
  matrix.scales.resize(groups);
  matrix.zeros.resize(groups);
  return matrix;
}

void set_grid(AffineMatrix& matrix, std::int64_t row, std::int64_t group, const IntegerGrid& grid) {
  const auto at = static_cast<std::size_t>(row * matrix.groups() + group);
  matrix.scales[at] = grid.scale;
  matrix.zeros[at] = static_cast<std::int16_t>(grid.zero);
}

AffineMatrix round_to_nearest(kernels::ThreadPool& pool, const Matrix& weight, std::int64_t group_size,
                              const GridSearch& search) {
  AffineMatrix matrix = empty_affine(weight, search.bits, group_size);
  pool.each(weight.rows, [&](std::int64_t row, int /*worker*/) {
    for (std::int64_t group = 0; group < matrix.groups(); ++group) {
      const std::int64_t first = group * matrix.group_size;
      const std::int64_t count = std::min(matrix.group_size, weight.columns - first);
      const std::span<const float> weights(weight.row(row) + first, static_cast<std::size_t>(count));
      const IntegerGrid grid = find_grid(weights, search);
      set_grid(matrix, row, group, grid);
      std::uint8_t* codes = matrix.codes.data() + row * weight.columns + first;
      for (std::size_t i = 0; i < weights.size(); ++i)
        codes[i] = static_cast<std::uint8_t>(grid.code(weights[i]));
    }
  });
  return matrix;
}

std::vector<float> values_of(const AffineMatrix& matrix) {
  std::vector<float> values;
  values.reserve(matrix.codes.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t column = 0; column < matrix.columns; ++column)
      values.push_back(matrix.value(row, column));
  }
  return values;
}

}  // namespace stepdown::quant
