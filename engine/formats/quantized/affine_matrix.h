#pragma once

#include <cstdint>
#include <vector>

namespace stepdown::formats {

/// A weight matrix [rows, columns] as small unsigned integers with a scale and a zero for each group of
/// columns of each row: value = scale · (code − zero). What GPTQ, AWQ and compressed-tensors store in
/// different layouts.
struct AffineMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  int bits = 0;
  std::int64_t group_size = 0;         ///< columns; `columns` when a row has one group
  std::vector<std::uint8_t> codes;     ///< [rows][columns]
  std::vector<float> scales;           ///< [rows][groups()]
  std::vector<std::int16_t> zeros;     ///< [rows][groups()]
  std::vector<std::int32_t> group_of;  ///< [columns] under GPTQ's act-order; empty: column / group_size

  std::int64_t groups() const { return (columns + group_size - 1) / group_size; }
  std::int64_t group(std::int64_t column) const {
    return group_of.empty() ? column / group_size : group_of[static_cast<std::size_t>(column)];
  }
  float value(std::int64_t row, std::int64_t column) const {
    const auto at = static_cast<std::size_t>(row * groups() + group(column));
    return scales[at] *
           static_cast<float>(codes[static_cast<std::size_t>(row * columns + column)] - zeros[at]);
  }
};

}  // namespace stepdown::formats
