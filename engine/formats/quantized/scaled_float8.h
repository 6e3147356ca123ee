#pragma once

#include <cstdint>
#include <vector>

namespace stepdown::formats {

/// A weight matrix as E4M3 bytes with one scale for each tile of rows × columns: value = e4m3 · scale.
struct ScaledFloat8 {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t tile_rows = 0;     ///< `rows` for one scale a tensor, 1 for one a channel
  std::int64_t tile_columns = 0;  ///< `columns` but for blocks
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;  ///< [⌈rows/tile_rows⌉][⌈columns/tile_columns⌉]

  std::int64_t tiles_across() const { return (columns + tile_columns - 1) / tile_columns; }
  std::int64_t tiles_down() const { return (rows + tile_rows - 1) / tile_rows; }
  float scale(std::int64_t row, std::int64_t column) const {
    return scales[static_cast<std::size_t>(row / tile_rows * tiles_across() + column / tile_columns)];
  }
};

std::vector<float> values_of(const ScaledFloat8& matrix);

}  // namespace stepdown::formats
