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

void multiply_tile(const Rows& rows, const PackedMatrix& weights, std::int64_t tile, float* out,
                   std::int64_t stride, bool accumulate) {
  const Operations& operations = rows.operations;
  const std::byte* data = weights.tile(tile);
  if (weights.kind() == TileKind::kCodes) {
    operations.codes_tile[weights.packing()](data, rows.input.coded(), rows.first, rows.count, out, stride,
                                             accumulate);
    return;
  }
  const PlainTile plain = weights.kind() == TileKind::kF16    ? operations.f16_tile
                          : weights.kind() == TileKind::kBF16 ? operations.bf16_tile
                                                              : operations.f32_tile;
  plain(data, weights.columns(), rows.input.row(rows.first), rows.input.columns(), rows.count, out, stride,
        accumulate);
}

// The last tile has fewer rows than lanes: its lanes go to scratch first, the real ones to `out`.
void multiply_tail(const Rows& rows, const PackedMatrix& weights, std::int64_t tile, const Product& product) {
  const std::int64_t valid = weights.rows() - tile * kTileRows;
  std::array<float, kTailRows * kTileRows> scratch;
  for (std::int64_t done = 0; done < rows.count; done += kTailRows) {
    const std::int64_t count = std::min(kTailRows, rows.count - done);
    multiply_tile({rows.operations, rows.input, rows.first + done, count}, weights, tile, scratch.data(),
                  kTileRows, false);
    for (std::int64_t i = 0; i < count; ++i) {
      float* out = product.out + (done + i) * product.stride + tile * kTileRows;
      const float* from = scratch.data() + i * kTileRows;
      for (std::int64_t lane = 0; lane < valid; ++lane)
        out[lane] = (product.accumulate ? out[lane] : 0.0f) + from[lane];
    }
  }
}

}  // namespace

Activations::Activations(std::int64_t max_rows, std::int64_t columns) : columns_(columns) {
  floats_.resize(static_cast<std::size_t>(max_rows * columns));
  if (columns % kBlock == 0) {
    codes_.resize(floats_.size());
    scales_.resize(floats_.size() / kBlock);
    sums_.resize(scales_.size());
  }
}

void Activations::encode(const Operations& operations, std::int64_t index) {
  if (codes_.empty()) return;
  const std::int64_t block = index * columns_ / kBlock;
  operations.encode_row(row(index), columns_, codes_.data() + index * columns_, scales_.data() + block,
                        sums_.data() + block);
}

void multiply(ThreadPool& pool, const Operations& operations, const Activations& input, std::int64_t first,
              std::int64_t count, std::span<const Product> products) {
  std::int64_t tiles = 0;
  for (const Product& product : products) tiles += product.weights->tiles();
  const std::int64_t piece = std::max<std::int64_t>(1, tiles / (pool.threads() * kPiecesPerThread));
  const Rows rows{operations, input, first, count};
  pool.each((tiles + piece - 1) / piece, [&](std::int64_t index, int /*worker*/) {
    const std::int64_t end = std::min(tiles, (index + 1) * piece);
    for (std::int64_t at = index * piece; at < end; ++at) {
      std::int64_t tile = at;
      const Product* product = products.data();
      for (; tile >= product->weights->tiles(); ++product) tile -= product->weights->tiles();
      if ((tile + 1) * kTileRows > product->weights->rows()) {
        multiply_tail(rows, *product->weights, tile, *product);
      } else {
        multiply_tile(rows, *product->weights, tile, product->out + tile * kTileRows, product->stride,
                      product->accumulate);
      }
    }
  });
}

}  // namespace stepdown::kernels
