// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; no search.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"

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

template <typename Block>
void pack(std::span<const float, 32> weights, const Affine& affine, int top, Block& block) {
  const float inverse = inverse_of(affine.scale);
  std::array<int, 32> codes;
  for (std::size_t i = 0; i < 32; ++i) {
    codes[i] = truncated((weights[i] - affine.minimum) * inverse + affine.offset, top);
  }
  for (std::size_t i = 0; i < 16; ++i) {
    block.codes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
  }
  if constexpr (requires { block.high; }) {
    block.high = {};
    for (std::size_t i = 0; i < 32; ++i) {
      block.high[i / 8] = static_cast<std::uint8_t>(block.high[i / 8] | (codes[i] >> 4) << (i % 8));
    }
  }
  block.d = f32_to_f16(affine.scale);
  if constexpr (requires { block.m; }) block.m = f32_to_f16(affine.minimum);
}

}  // namespace

void encode_block(std::span<const float, 32> weights, kernels::BlockQ4_0& block) {
  pack(weights, symmetric(weights, 8), 15, block);
}

void encode_block(std::span<const float, 32> weights, kernels::BlockQ4_1& block) {
  pack(weights, with_minimum(weights, 15), 15, block);
}

void encode_block(std::span<const float, 32> weights, kernels::BlockQ5_0& block) {
  pack(weights, symmetric(weights, 16), 31, block);
}

void encode_block(std::span<const float, 32> weights, kernels::BlockQ5_1& block) {
  pack(weights, with_minimum(weights, 31), 31, block);
}

void encode_block(std::span<const float, 32> weights, kernels::BlockQ8_0& block) {
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
