#pragma once

#include <array>
#include <cmath>
#include <span>

#include "engine/kernels/blocks.h"

namespace stepdown::quant {

/// How much the errors of a block's weights count: the mean square of each column's inputs, from an
/// importance matrix. Empty: all alike, up to what the type itself weighs.
struct Importance {
  std::span<const float> columns;
  float row_mean_square = 0.0f;  ///< of the weights of the whole row; types with blocks of 32 count by it

  bool given() const { return !columns.empty(); }
};

/// One block of weights, finite and within binary16's range, → its stored form: byte for byte what ggml's
/// quantize_row_*_ref write, or with importance its quantize_row_*_impl.
void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockIQ4_NL& block);
void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ6_K& block);
void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockIQ4_XS& block);

/// The same for blocks side by side, as many as one search takes: kTogether at most.
template <typename Block>
constexpr std::size_t kTogether = 1;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ4_0> = 16;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ4_1> = 16;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ5_0> = 16;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ5_1> = 16;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ8_0> = 16;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ3_K> = 4;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ4_K> = 2;
template <>
inline constexpr std::size_t kTogether<kernels::BlockQ5_K> = 2;
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_0> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_1> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_0> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_1> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ8_0> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ2_K> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ3_K> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_K> blocks);
void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_K> blocks);

/// How much each weight's error counts under an importance matrix: importance · √(mean_square + x²).
template <std::size_t Size>
std::array<float, Size> error_weights(std::span<const float> group, std::span<const float> columns,
                                      float mean_square) {
  std::array<float, Size> weights;
  for (std::size_t i = 0; i < Size; ++i) {
    weights[i] = columns[i] * std::sqrt(mean_square + group[i] * group[i]);
  }
  return weights;
}

inline float sum_of_squares(std::span<const float> values) {
  float sum = 0.0f;
  for (const float x : values) sum += x * x;
  return sum;
}

}  // namespace stepdown::quant
