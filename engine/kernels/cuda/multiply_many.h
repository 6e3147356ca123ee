#pragma once

#include "engine/kernels/cuda/weight_unit.h"

// A product with many tokens, as in prefill: 128 weight rows by kTokens tokens a block. Weights go from
// memory to registers and are dequantized there; the tokens' halves come through a ring of shared memory, a
// unit of 64 columns a stage, fetched ahead.
namespace stepdown::kernels::cuda {

inline constexpr int kManyWarps = 8;
inline constexpr int kManyRows = 128;
inline constexpr int kStages = 3;
inline constexpr int kInputPitch =
    kUnitColumns * 2 + 16;  ///< bytes; 16 more keep 128-bit reads off each other's banks

template <int kTokens>
struct ManyShape {
  // Four pairs of warps; a pair has the same two tiles of rows, each of it half the tokens.
  static constexpr int kRowTiles = 2;
  static constexpr int kTokenTiles = kTokens / 2 / 8;
  static constexpr int kStageBytes = kTokens * kInputPitch;
  static constexpr std::size_t kShared = std::size_t{kStages} * kStageBytes;
};

struct ManyProduct {
  MatrixProduct product;
  std::int32_t parts;  ///< of the columns, each a layer of the grid; > 1: they go to product.partials
};

template <int kTokens>
__device__ inline void fetch_input(const MatrixProduct& product, int first_token, int unit,
                                   std::byte* stage) {
  constexpr int kCopies = kTokens * kUnitColumns * 2 / 16;
  for (int i = static_cast<int>(threadIdx.x); i < kCopies; i += kManyWarps * kLanes) {
    const int token = first_token + i / 8;
    const bool real = token < product.tokens;
    const std::uint16_t* from = product.input + std::int64_t{real ? token : 0} * product.input_stride +
                                unit * kUnitColumns + i % 8 * 8;
    copy_behind(stage + i / 8 * kInputPitch + i % 8 * 16, from, real);
  }
}

template <int kFormat, int kTokens>
__global__ void __launch_bounds__(kManyWarps* kLanes) multiply_many(ManyProduct many) {
  using Shape = ManyShape<kTokens>;
  constexpr int kRowTiles = Shape::kRowTiles;
  constexpr int kTokenTiles = Shape::kTokenTiles;
  const MatrixProduct& product = many.product;
  const DeviceMatrix& weights = product.weights;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int first_tile = static_cast<int>(blockIdx.x) * (kManyRows / kTileHeight) + warp / 2 * kRowTiles;
  const int block_token = static_cast<int>(blockIdx.y) * kTokens;
  const int warp_token = warp % 2 * (kTokens / 2);
  const int tiles = weights.tiles();
  const int share = (weights.units() + many.parts - 1) / many.parts;
  const int begin = static_cast<int>(blockIdx.z) * share;
  const int end = min(begin + share, weights.units());

  std::byte* const ring = launch_memory();
  const auto stage = [&](int unit) { return ring + (unit - begin) % kStages * Shape::kStageBytes; };
  WeightUnit<kFormat> next[kRowTiles];
  const auto load = [&](int unit) {
#pragma unroll
    for (int tile = 0; tile < kRowTiles; ++tile) {
      if (first_tile + tile < tiles) next[tile].load(weights, first_tile + tile, unit, lane);
    }
  };
  if (begin < end) load(begin);
  for (int ahead = 0; ahead < kStages - 1; ++ahead) {
    if (begin + ahead < end) fetch_input<kTokens>(product, block_token, begin + ahead, stage(begin + ahead));
    close_copies();
  }

  float sum[kRowTiles][kTokenTiles][4] = {};
  for (int unit = begin; unit < end; ++unit) {
    wait_for_copies<kStages - 2>();
    wait_for_block();  // the unit is there for all, and all are done with the one before it
    const int ahead = unit + kStages - 1;
    if (ahead < end) fetch_input<kTokens>(product, block_token, ahead, stage(ahead));
    close_copies();

    Word a[kRowTiles][kUnitSteps][4];
#pragma unroll
    for (int tile = 0; tile < kRowTiles; ++tile) next[tile].operands(a[tile]);
    if (unit + 1 < end) load(unit + 1);
    const std::byte* const input = stage(unit) + (warp_token + lane / 4) * kInputPitch + lane % 4 * 32;
#pragma unroll
    for (int tile = 0; tile < kTokenTiles; ++tile) {
      const auto* from = reinterpret_cast<const Quad*>(input + tile * 8 * kInputPitch);
      const Quad halves[2] = {from[0], from[1]};
#pragma unroll
      for (int step = 0; step < kUnitSteps; ++step) {
        Word b[2];
        input_operand(halves, step, b);
#pragma unroll
        for (int row = 0; row < kRowTiles; ++row) multiply_accumulate(sum[row][tile], a[row][step], b);
      }
    }
  }

  const bool whole = many.parts == 1;
#pragma unroll
  for (int row_tile = 0; row_tile < kRowTiles; ++row_tile) {
#pragma unroll
    for (int tile = 0; tile < kTokenTiles; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = (first_tile + row_tile) * kTileHeight + lane / 4 + i / 2 * 8;
        const int token = block_token + warp_token + tile * 8 + lane % 4 * 2 + i % 2;
        if (row >= weights.rows || token >= product.tokens) continue;
        if (whole) {
          float* const out = product.out + std::int64_t{token} * product.out_stride + row;
          *out = product.accumulate ? *out + sum[row_tile][tile][i] : sum[row_tile][tile][i];
        } else {
          product.partials[(std::int64_t{blockIdx.z} * product.tokens + token) * weights.rows + row] =
              sum[row_tile][tile][i];
        }
      }
    }
  }
}

/// Adds up the parts in their order; in multiply.cu.
Failure add_parts(Stream stream, const ManyProduct& many, int multiprocessors);

template <int kFormat, int kTokens>
Failure launch_many(Stream stream, const MatrixProduct& product, int multiprocessors) {
  const auto blocks = dim3{static_cast<unsigned>((product.weights.rows + kManyRows - 1) / kManyRows),
                           static_cast<unsigned>((product.tokens + kTokens - 1) / kTokens), 1};
  // Parts of at least 8 units, as many as fill the multiprocessors and the caller has room for.
  const auto one = static_cast<std::size_t>(product.tokens) * static_cast<std::size_t>(product.weights.rows);
  int parts = 1;
  while (static_cast<int>(blocks.x * blocks.y) * parts * 2 <= multiprocessors &&
         product.weights.units() >= parts * 2 * 8 &&
         one * static_cast<std::size_t>(parts) * 2 <= product.partial_capacity) {
    parts *= 2;
  }
  const ManyProduct many{product, parts};
  const Failure failure =
      launch(multiply_many<kFormat, kTokens>, dim3{blocks.x, blocks.y, static_cast<unsigned>(parts)},
             kManyWarps * kLanes, ManyShape<kTokens>::kShared, stream, many);
  if (failure != nullptr || parts == 1) return failure;
  return add_parts(stream, many, multiprocessors);
}

}  // namespace stepdown::kernels::cuda
