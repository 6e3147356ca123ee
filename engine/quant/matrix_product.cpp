#include "engine/quant/matrix_product.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/kernels/operations.h"

namespace stepdown::quant {
namespace {

using kernels::kPanelColumns;
using kernels::kTileRows;

constexpr std::int64_t kRowsTogether = 128;  // of the inputs: they stay in the cache while all tiles pass by
constexpr std::int64_t kTilesTogether = 8;
// Rows a power of two apart would fall on each other in the first-level cache.
constexpr std::int64_t kPadding = 16;

struct alignas(64) Lanes {
  std::array<float, kTileRows> values;
};

constexpr std::int64_t parts(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

/// Rows of a matrix with a stride of their own.
struct Rows {
  const float* first;
  std::int64_t stride;
  std::int64_t count;
};

/// out[row · stride + lane] (+)= row · lane, over one panel of columns. Of the last tile some lanes are
/// padding: then there are at most kRowsTogether rows.
void multiply_tile(const Lanes* tile, std::int64_t columns, std::int64_t lanes, const Rows& rows, float* out,
                   std::int64_t stride, bool accumulate) {
  const kernels::PlainTiles multiply = kernels::operations().f32_tiles;
  const auto* bytes = reinterpret_cast<const std::byte*>(tile);
  if (lanes == kTileRows)
    return multiply(bytes, 1, columns, rows.first, rows.stride, rows.count, out, stride, accumulate);
  std::array<float, kRowsTogether * kTileRows> scratch;
  multiply(bytes, 1, columns, rows.first, rows.stride, rows.count, scratch.data(), kTileRows, false);
  for (std::int64_t row = 0; row < rows.count; ++row) {
    float* to = out + row * stride;
    const float* from = scratch.data() + row * kTileRows;
    for (std::int64_t lane = 0; lane < lanes; ++lane) to[lane] = (accumulate ? to[lane] : 0.0f) + from[lane];
  }
}

/// A weight's rows, 16 side by side: [tile][column].
std::vector<Lanes> in_tiles(kernels::ThreadPool& pool, const Matrix& weight) {
  std::vector<Lanes> tiles(static_cast<std::size_t>(parts(weight.rows, kTileRows) * weight.columns));
  pool.each(parts(weight.rows, kTileRows), [&](std::int64_t tile, int /*worker*/) {
    Lanes* to = tiles.data() + tile * weight.columns;
    const std::int64_t first = tile * kTileRows;
    const std::int64_t count = std::min(kTileRows, weight.rows - first);
    constexpr std::int64_t kAtOnce = 16;  // columns whose cache lines stay at hand
    for (std::int64_t begin = 0; begin < weight.columns; begin += kAtOnce) {
      const std::int64_t end = std::min(begin + kAtOnce, weight.columns);
      for (std::int64_t lane = 0; lane < count; ++lane) {
        const float* from = weight.row(first + lane);
        for (std::int64_t column = begin; column < end; ++column)
          to[column].values[static_cast<std::size_t>(lane)] = from[column];
      }
    }
  });
  return tiles;
}

}  // namespace

Matrix product(kernels::ThreadPool& pool, const Matrix& inputs, const Matrix& weight) {
  Matrix out(inputs.rows, weight.rows);
  if (inputs.rows == 0) return out;  // an expert that no token goes to
  const std::vector<Lanes> tiles = in_tiles(pool, weight);
  const std::int64_t count = parts(weight.rows, kTileRows);
  const std::int64_t groups = parts(count, kTilesTogether);
  pool.each(parts(inputs.rows, kRowsTogether) * groups, [&](std::int64_t task, int /*worker*/) {
    const std::int64_t row = task / groups * kRowsTogether;
    const std::int64_t rows = std::min(kRowsTogether, inputs.rows - row);
    const std::int64_t group = task % groups * kTilesTogether;
    for (std::int64_t begin = 0; begin < weight.columns; begin += kPanelColumns) {
      const std::int64_t columns = std::min(kPanelColumns, weight.columns - begin);
      for (std::int64_t tile = group; tile < std::min(group + kTilesTogether, count); ++tile) {
        multiply_tile(tiles.data() + tile * weight.columns + begin, columns,
                      std::min(kTileRows, weight.rows - tile * kTileRows),
                      {inputs.row(row) + begin, inputs.columns, rows}, out.row(row) + tile * kTileRows,
                      out.columns, begin > 0);
      }
    }
  });
  return out;
}

void add_gram(kernels::ThreadPool& pool, const Matrix& inputs, std::int64_t first, std::int64_t count,
              Matrix& gram) {
  const std::int64_t tiles = parts(inputs.columns, kTileRows);
  for (const std::int64_t end = first + count; first < end; first += kPanelColumns) {
    const std::int64_t tokens = std::min(kPanelColumns, end - first);
    const std::int64_t stride = parts(tokens, kPadding) * kPadding + kPadding;
    std::vector<Lanes> lanes(static_cast<std::size_t>(tiles * tokens));
    Matrix transposed(inputs.columns, stride);
    pool.each(tiles, [&](std::int64_t tile, int /*worker*/) {
      const std::int64_t column = tile * kTileRows;
      const std::int64_t width = std::min(kTileRows, inputs.columns - column);
      Lanes* to = lanes.data() + tile * tokens;
      for (std::int64_t token = 0; token < tokens; ++token) {
        std::copy_n(inputs.row(first + token) + column, width, to[token].values.data());
        for (std::int64_t i = 0; i < width; ++i)
          transposed.row(column + i)[token] = to[token].values[static_cast<std::size_t>(i)];
      }
    });
    pool.each(tiles, [&](std::int64_t tile, int /*worker*/) {  // the longest columns first
      const std::int64_t column = tile * kTileRows;
      multiply_tile(lanes.data() + tile * tokens, tokens, std::min(kTileRows, inputs.columns - column),
                    {transposed.row(column), stride, inputs.columns - column}, gram.row(column) + column,
                    gram.columns, true);
    });
  }
}

void mirror(Matrix& gram) {
  constexpr std::int64_t kTile = 32;  // so that both sides stay in the cache
  for (std::int64_t first = 0; first < gram.rows; first += kTile) {
    for (std::int64_t row = first; row < gram.rows; ++row) {
      for (std::int64_t column = first; column < std::min(first + kTile, row); ++column)
        gram.row(column)[row] = gram.row(row)[column];
    }
  }
}

}  // namespace stepdown::quant
