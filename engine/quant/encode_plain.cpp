// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; searched only under an
// importance matrix, and never for Q8_0.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

/// Truncates to an integer of [0, top]. Scales of subnormal blocks may have overflowed to infinity.
int truncated(float value, int top) {
  if (!(value > 0)) return 0;
  return value >= static_cast<float>(top) ? top : static_cast<int>(value);
}

float inverse_of(float scale) {
  return scale != 0 ? 1.0f / scale : 0.0f;
}

struct Affine {
  float scale, minimum, offset;  ///< code = (x − minimum) / scale + offset
};

/// Symmetric: the weight of largest magnitude becomes code 0, zero the middle code.
Affine symmetric(std::span<const float, 32> weights, int half) {
  float magnitude = 0.0f;
  float extreme = 0.0f;
  for (const float x : weights) {
    if (magnitude < std::fabs(x)) {
      magnitude = std::fabs(x);
      extreme = x;
    }
  }
  return {extreme / static_cast<float>(-half), 0.0f, static_cast<float>(half) + 0.5f};
}

Affine with_minimum(std::span<const float, 32> weights, int top) {
  float low = weights[0];
  float high = weights[0];
  for (const float x : weights) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return {(high - low) / static_cast<float>(top), low, 0.5f};
}

using Codes = std::array<std::uint8_t, 32>;

Codes codes_of(std::span<const float, 32> weights, const Affine& affine, int top) {
  const float inverse = inverse_of(affine.scale);
  Codes codes;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] =
        static_cast<std::uint8_t>(truncated((weights[i] - affine.minimum) * inverse + affine.offset, top));
  }
  return codes;
}

template <typename Block>
void pack(const Codes& codes, Block& block) {
  for (std::size_t i = 0; i < 16; ++i) {
    block.codes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
  }
  if constexpr (requires { block.high; }) {
    block.high = {};
    for (std::size_t i = 0; i < 32; ++i) {
      block.high[i / 8] = static_cast<std::uint8_t>(block.high[i / 8] | (codes[i] >> 4) << (i % 8));
    }
  }
}

template <typename Block>
void encode_symmetric(std::span<const float, 32> weights, const Importance& importance, int half,
                      Block& block) {
  Codes codes;
  if (importance.given()) {
    const auto counts = error_weights<32>(weights, importance.columns, importance.row_mean_square);
    block.d = f32_to_f16(search_symmetric(weights, counts, half, codes));
  } else {
    const Affine affine = symmetric(weights, half);
    codes = codes_of(weights, affine, 2 * half - 1);
    block.d = f32_to_f16(affine.scale);
  }
  pack(codes, block);
}

template <typename Block>
void encode_with_minimum(std::span<const float, 32> weights, const Importance& importance, int top,
                         Block& block) {
  Codes codes;
  if (importance.given()) {
    const auto counts = error_weights<32>(weights, importance.columns, importance.row_mean_square);
    const auto found = search_with_minimum(weights, counts, weighted_search(top), codes);
    block.d = f32_to_f16(found.scale);
    block.m = f32_to_f16(-found.minimum);
  } else {
    const Affine affine = with_minimum(weights, top);
    codes = codes_of(weights, affine, top);
    block.d = f32_to_f16(affine.scale);
    block.m = f32_to_f16(affine.minimum);
  }
  pack(codes, block);
}

}  // namespace

void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockQ4_0& block) {
  encode_symmetric(weights, importance, 8, block);
}

void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockQ4_1& block) {
  encode_with_minimum(weights, importance, 15, block);
}

void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockQ5_0& block) {
  encode_symmetric(weights, importance, 16, block);
}

void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockQ5_1& block) {
  encode_with_minimum(weights, importance, 31, block);
}

void encode_block(std::span<const float, 32> weights, const Importance& /*importance*/,
                  kernels::BlockQ8_0& block) {
  float magnitude = 0.0f;
  for (const float x : weights) magnitude = std::max(magnitude, std::fabs(x));
  const float scale = magnitude / 127;
  const float inverse = inverse_of(scale);
  block.d = f32_to_f16(scale);
  for (std::size_t i = 0; i < 32; ++i) {
    const float code = std::round(weights[i] * inverse);
    block.codes[i] = static_cast<std::int8_t>(std::isnan(code) ? 0.0f : std::clamp(code, -127.0f, 127.0f));
  }
}

}  // namespace stepdown::quant
