#include "engine/kernels/matmul.h"

#include <algorithm>
#include <array>

namespace stepdown::kernels {
namespace {

// Pieces a thread: enough that a disturbed thread leaves its share to the others, few enough to stay cheap.
constexpr std::int64_t kPiecesPerThread = 8;
constexpr std::int64_t kTailRows = 16;  // input rows a pass over the last, partial tile

struct Rows {
  const Operations& operations;
  const Activations& input;
  std::int64_t first;
  std::int64_t count;
};

// `tiles` tiles of one panel.
void multiply_panel(const Rows& rows, const PackedMatrix& weights, std::int64_t tile, std::int64_t tiles,
                    std::int64_t panel, float* out, std::int64_t stride, bool accumulate) {
  const Operations& operations = rows.operations;
  if (weights.kind() == TileKind::kCodes) {
    operations.codes_tiles[weights.packing()](weights.tile(tile, panel), tiles, rows.input.coded(panel),
                                              rows.first, rows.count, out, stride, accumulate);
    return;
  }
  const PlainTiles plain = weights.kind() == TileKind::kF16    ? operations.f16_tiles
                           : weights.kind() == TileKind::kBF16 ? operations.bf16_tiles
                                                               : operations.f32_tiles;
  plain(weights.tile(tile, panel), tiles, weights.panel_columns(panel),
        rows.input.row(rows.first) + panel * kPanelColumns, rows.input.columns(), rows.count, out, stride,
        accumulate);
}

// The last tile has fewer rows than lanes: its lanes go to scratch first, the real ones to `out`.
void multiply_tail(const Rows& rows, const PackedMatrix& weights, std::int64_t tile, std::int64_t panel,
                   float* out, std::int64_t stride, bool accumulate) {
  const std::int64_t valid = weights.rows() - tile * kTileRows;
  std::array<float, kTailRows * kTileRows> scratch;
  for (std::int64_t done = 0; done < rows.count; done += kTailRows) {
    const std::int64_t count = std::min(kTailRows, rows.count - done);
    multiply_panel({rows.operations, rows.input, rows.first + done, count}, weights, tile, 1, panel,
                   scratch.data(), kTileRows, false);
    for (std::int64_t i = 0; i < count; ++i) {
      float* to = out + (done + i) * stride;
      const float* from = scratch.data() + i * kTileRows;
      for (std::int64_t lane = 0; lane < valid; ++lane)
        to[lane] = (accumulate ? to[lane] : 0.0f) + from[lane];
    }
  }
}

// Tiles of one group, panel after panel as they lie in memory.
void multiply_tiles(const Rows& rows, const Product& product, std::int64_t first, std::int64_t end) {
  const PackedMatrix& weights = *product.weights;
  const std::int64_t whole = std::min(end, weights.rows() / kTileRows);
  for (std::int64_t panel = 0; panel < weights.panels(); ++panel) {
    const bool accumulate = product.accumulate || panel > 0;
    float* out = product.out + first * kTileRows;
    if (first < whole)
      multiply_panel(rows, weights, first, whole - first, panel, out, product.stride, accumulate);
    if (whole < end)
      multiply_tail(rows, weights, whole, panel, product.out + whole * kTileRows, product.stride, accumulate);
  }
}

// Whole groups unless that leaves threads without work.
std::int64_t tiles_a_piece(std::int64_t tiles, int threads) {
  const std::int64_t piece = std::max<std::int64_t>(1, tiles / (threads * kPiecesPerThread));
  return piece < kGroupTiles ? piece : piece / kGroupTiles * kGroupTiles;
}

}  // namespace

Activations::Activations(std::int64_t max_rows, std::int64_t columns)
    : max_rows_(max_rows), columns_(columns) {
  floats_.resize(static_cast<std::size_t>(max_rows * columns));
  if (columns % kBlock == 0) {
    codes_.resize(floats_.size());
    scales_.resize(floats_.size() / kBlock);
    sums_.resize(scales_.size());
  }
}

void Activations::encode(const Operations& operations, std::int64_t index) {
  if (codes_.empty()) return;
  for (std::int64_t begin = 0; begin < columns_; begin += kPanelColumns) {
    const std::int64_t count = std::min(kPanelColumns, columns_ - begin);
    const std::int64_t at = begin * max_rows_ + index * count;
    operations.encode_row(row(index) + begin, count, codes_.data() + at, scales_.data() + at / kBlock,
                          sums_.data() + at / kBlock);
  }
}

CodedRows Activations::coded(std::int64_t panel) const {
  const std::int64_t begin = panel * kPanelColumns;
  const std::int64_t at = begin * max_rows_;
  return {codes_.data() + at, scales_.data() + at / kBlock, sums_.data() + at / kBlock,
          std::min(kPanelColumns, columns_ - begin)};
}

void multiply(ThreadPool& pool, const Operations& operations, const Activations& input, std::int64_t first,
              std::int64_t count, std::span<const Product> products) {
  std::int64_t tiles = 0;
  for (const Product& product : products) tiles += product.weights->tiles();
  const std::int64_t piece = tiles_a_piece(tiles, pool.threads());
  const Rows rows{operations, input, first, count};
  pool.each((tiles + piece - 1) / piece, [&](std::int64_t index, int /*worker*/) {
    const std::int64_t end = std::min(tiles, (index + 1) * piece);
    std::int64_t before = 0;  // tiles of earlier products
    const Product* product = products.data();
    for (std::int64_t at = index * piece; at < end;) {
      for (; at - before >= product->weights->tiles(); ++product) before += product->weights->tiles();
      const std::int64_t tile = at - before;
      const std::int64_t stop =
          std::min({end - before, product->weights->tiles(), (tile / kGroupTiles + 1) * kGroupTiles});
      multiply_tiles(rows, *product, tile, stop);
      at = before + stop;
    }
  });
}

}  // namespace stepdown::kernels
