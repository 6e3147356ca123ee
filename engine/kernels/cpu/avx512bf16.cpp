#include "engine/kernels/cpu/instruction_sets.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <algorithm>

#include "engine/kernels/cpu/avx512.h"
#include "engine/kernels/cpu/bf16_inputs.h"
#include "engine/kernels/cpu/peak_loops_of.h"
#include "engine/kernels/cpu/tile_kernels.h"

// AVX-512 with BF16 products: what the avx512vnni row does, and BF16 weights at twice the rate of floats.
namespace stepdown::kernels {
namespace {

constexpr int kMostRows = 8;
constexpr int kSums = 2;  // chains of an output, whatever the rows: pair i belongs to chain i % kSums

using RoundedRow = std::uint16_t[kPanelColumns];

__m512bh as_bf16(__m512i bits) {
  __m512bh pairs;
  std::memcpy(&pairs, &bits, sizeof pairs);
  return pairs;
}

template <int kCount>
void bf16_rows(const std::byte* tile, std::int64_t columns, const RoundedRow* rows, float* out,
               std::int64_t out_stride, bool accumulate, bool cold) {
  __m512 sum[kSums][kCount];
  for (auto& chain : sum) std::fill_n(chain, kCount, _mm512_setzero_ps());
  const auto add_pair = [&](__m512(&sums)[kCount], std::int64_t column) __attribute__((always_inline)) {
    const __m512bh weights = as_bf16(bf16_pairs(tile + column * kTileRows * 2));
#pragma GCC unroll 8
    for (int row = 0; row < kCount; ++row) {
      std::int32_t two = 0;
      std::memcpy(&two, rows[row] + column, sizeof two);
      sums[row] = _mm512_dpbf16_ps(sums[row], weights, as_bf16(_mm512_set1_epi32(two)));
    }
  };
  std::int64_t column = 0;
  for (; column + 4 <= columns; column += 4) {
    if (kCount > 1 && cold) prefetch<2 * 64>(tile + column * kTileRows * 2);
    add_pair(sum[0], column);
    add_pair(sum[1], column + 2);
  }
  if (column < columns) add_pair(sum[0], column);  // a tile ends with zeros where columns are odd
  if (column + 2 < columns) add_pair(sum[1], column + 2);
  for (int row = 0; row < kCount; ++row) {
    put<Avx512>(out + row * out_stride, _mm512_add_ps(sum[0][row], sum[1][row]), accumulate);
  }
}

// Rounded once, a few input rows meet one tile after the other.
void bf16_tiles(const std::byte* tile, std::int64_t tiles, std::int64_t columns, const float* input,
                std::int64_t input_stride, std::int64_t count, float* out, std::int64_t out_stride,
                bool accumulate) {
  alignas(64) RoundedRow rows[kMostRows];
  const std::int64_t bytes = whole_cache_lines(columns * kTileRows * 2);
  bool cold = true;
  take_rows<kMostRows>(count, [&]<int kCount>(std::int64_t first) {
    for (int row = 0; row < kCount; ++row)
      round_to_bf16(input + (first + row) * input_stride, columns, rows[row]);
    for (std::int64_t i = 0; i < tiles; ++i) {
      bf16_rows<kCount>(tile + i * bytes, columns, rows, out + first * out_stride + i * kTileRows, out_stride,
                        accumulate, cold);
    }
    cold = false;
  });
}

bool supported() {
  return __builtin_cpu_supports("avx512bf16") != 0 && avx512_operations()->supported();
}

std::int64_t bf16_peak(std::int64_t rounds) {
  const __m512bh factor = as_bf16(_mm512_set1_epi32(0x3f003f00));
  __m512 sum[kPeakChains];
  for (auto& each : sum) each = _mm512_setzero_ps();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (auto& each : sum) each = _mm512_dpbf16_ps(each, factor, factor);
  }
  for (const auto& each : sum) keep(each);
  return rounds * kPeakChains * 16 * 2 * 2;
}

}  // namespace

const Operations* avx512bf16_operations() {
  static const Operations kRow = [] {
    Operations row = *avx512_operations();
    row.name = "avx512bf16";
    row.supported = supported;
    row.bf16_tiles = bf16_tiles;
    return row;
  }();
  return &kRow;
}

const PeakLoops* avx512bf16_peak_loops() {
  static const PeakLoops kLoops = {avx512_peak_loops()->int8, avx512_peak_loops()->float32, bf16_peak,
                                   avx512_peak_loops()->read};
  return &kLoops;
}

}  // namespace stepdown::kernels

#else

namespace stepdown::kernels {
const Operations* avx512bf16_operations() {
  return nullptr;
}
const PeakLoops* avx512bf16_peak_loops() {
  return nullptr;
}
}  // namespace stepdown::kernels

#endif
