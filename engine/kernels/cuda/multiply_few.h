#pragma once

#include "engine/kernels/cuda/weight_unit.h"

// A product with few tokens, as in decoding: bound by reading the weights, each of which is read once,
// straight to the registers of the one warp that needs it. The tensor cores' tokens beyond those there are
// cost nothing that matters.
namespace stepdown::kernels::cuda {

inline constexpr int kFewWarps = 8;
inline constexpr int kFewTokens = 16;  ///< up to here

/// How the work is cut: each warp takes kRowTiles tiles, and one of `parts` interleaved parts of the columns.
template <int kTokenTiles>
struct FewShape {
  static constexpr int kRowTiles = kTokenTiles;  // what is loaded of the input is worth more rows
  static constexpr int kSums = kRowTiles * kTokenTiles * 4;
  static constexpr std::size_t kShared = sizeof(float) * kFewWarps * kSums * kLanes;
};

struct FewProduct {
  MatrixProduct product;
  std::int32_t parts;  ///< warps that share a tile's columns: 1, 2, 4 or 8
};

template <int kFormat, int kTokenTiles>
__global__ void __launch_bounds__(kFewWarps* kLanes) multiply_few(FewProduct few) {
  using Shape = FewShape<kTokenTiles>;
  constexpr int kRowTiles = Shape::kRowTiles;
  constexpr int kBatch = kWeightFormats[kFormat].bits * kRowTiles <= 4    ? 4
                         : kWeightFormats[kFormat].bits * kRowTiles <= 16 ? 2
                                                                          : 1;
  const MatrixProduct& product = few.product;
  const DeviceMatrix& weights = product.weights;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int part = warp % few.parts;
  const int first_tile =
      (static_cast<int>(blockIdx.x) * (kFewWarps / few.parts) + warp / few.parts) * kRowTiles;
  const int tiles = weights.tiles();
  const int units = weights.units();

  float sum[kRowTiles][kTokenTiles][4] = {};
  WeightUnit<kFormat> next[kBatch][kRowTiles];
  const auto load = [&](int batch) {
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
#pragma unroll
      for (int tile = 0; tile < kRowTiles; ++tile) {
        const int unit = batch * kBatch + i;
        if (unit < units && first_tile + tile < tiles)
          next[i][tile].load(weights, first_tile + tile, unit, lane);
      }
    }
  };
  const int batches = (units + kBatch - 1) / kBatch;
  if (part < batches) load(part);
  for (int batch = part; batch < batches; batch += few.parts) {
    WeightUnit<kFormat> current[kBatch][kRowTiles];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
#pragma unroll
      for (int tile = 0; tile < kRowTiles; ++tile) current[i][tile] = next[i][tile];
    }
    if (batch + few.parts < batches) load(batch + few.parts);
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int unit = batch * kBatch + i;
      if (unit >= units) break;
      Quad input[kTokenTiles][2];
#pragma unroll
      for (int tile = 0; tile < kTokenTiles; ++tile) {
        const int token = tile * 8 + lane / 4;
        const auto* from = reinterpret_cast<const Quad*>(
            product.input + std::int64_t{token} * product.input_stride + unit * kUnitColumns + lane % 4 * 16);
        const bool real = token < product.tokens;
        input[tile][0] = real ? from[0] : Quad{0, 0, 0, 0};
        input[tile][1] = real ? from[1] : Quad{0, 0, 0, 0};
      }
#pragma unroll
      for (int row = 0; row < kRowTiles; ++row) {
        if (first_tile + row >= tiles) break;
        Word a[kUnitSteps][4];
        current[i][row].operands(a);
#pragma unroll
        for (int step = 0; step < kUnitSteps; ++step) {
#pragma unroll
          for (int tile = 0; tile < kTokenTiles; ++tile) {
            Word b[2];
            input_operand(input[tile], step, b);
            multiply_accumulate(sum[row][tile], a[step], b);
          }
        }
      }
    }
  }

  // The parts of a tile add up in their order, whichever was ready first: results do not vary.
  float* const shared = reinterpret_cast<float*>(launch_memory());
  const auto place = [&](int of_warp, int index) {
    return shared + (of_warp * Shape::kSums + index) * kLanes + lane;
  };
  if (few.parts > 1) {
    if (part != 0) {
#pragma unroll
      for (int i = 0; i < Shape::kSums; ++i)
        *place(warp, i) = sum[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
    }
    wait_for_block();
    if (part != 0) return;
    for (int other = 1; other < few.parts; ++other) {
#pragma unroll
      for (int i = 0; i < Shape::kSums; ++i)
        sum[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4] += *place(warp + other, i);
    }
  }
#pragma unroll
  for (int i = 0; i < Shape::kSums; ++i) {
    const int row = (first_tile + i / (kTokenTiles * 4)) * kTileHeight + lane / 4 + i % 4 / 2 * 8;
    const int token = i / 4 % kTokenTiles * 8 + lane % 4 * 2 + i % 2;
    if (row >= weights.rows || token >= product.tokens) continue;
    float* const out = product.out + std::int64_t{token} * product.out_stride + row;
    const float value = sum[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
    *out = product.accumulate ? *out + value : value;
  }
}

/// Enough warps for every multiprocessor to have the loads of sixteen in flight.
inline int few_parts(const DeviceMatrix& weights, int row_tiles, int multiprocessors) {
  const int groups = (weights.tiles() + row_tiles - 1) / row_tiles;
  int parts = 1;
  while (parts < kFewWarps && groups * parts < multiprocessors * 16) parts *= 2;
  return parts;
}

template <int kFormat, int kTokenTiles>
Failure launch_few(Stream stream, const MatrixProduct& product, int multiprocessors) {
  using Shape = FewShape<kTokenTiles>;
  const int parts = few_parts(product.weights, Shape::kRowTiles, multiprocessors);
  const int tiles_a_block = kFewWarps / parts * Shape::kRowTiles;
  const auto blocks = static_cast<unsigned>((product.weights.tiles() + tiles_a_block - 1) / tiles_a_block);
  return launch(multiply_few<kFormat, kTokenTiles>, dim3{blocks, 1, 1}, kFewWarps * kLanes, Shape::kShared,
                stream, FewProduct{product, parts});
}

}  // namespace stepdown::kernels::cuda
