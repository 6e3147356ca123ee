// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; searched only under an
// importance matrix, and never for Q8_0.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"

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

/// Blocks under an importance matrix, a lane each.
GroupLanes lanes_of(std::span<const float> weights, const Importance& importance) {
  GroupLanes lanes;
  lanes.size = 32;
  for (std::size_t at = 0; at < weights.size(); at += 32) {
    const auto block = weights.subspan(at, 32);
    lanes.put(at / 32, block);
    lanes.count(at / 32,
                error_weights<32>(block, importance.columns.subspan(at, 32), importance.row_mean_square));
  }
  return lanes;
}

Codes codes_of(const GroupLanes& lanes, std::size_t block) {
  Codes codes;
  lanes.take(block, codes);
  return codes;
}

template <typename Block>
void encode_symmetric(std::span<const float> weights, const Importance& importance, int half,
                      std::span<Block> blocks) {
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Scales scales = searches().symmetric(lanes, half);
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      blocks[b].d = f32_to_f16(scales[b]);
      pack(codes_of(lanes, b), blocks[b]);
    }
    return;
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto block = weights.subspan(b * 32).first<32>();
    const Affine affine = symmetric(block, half);
    blocks[b].d = f32_to_f16(affine.scale);
    pack(codes_of(block, affine, 2 * half - 1), blocks[b]);
  }
}

template <typename Block>
void store(float scale, float minimum, const Codes& codes, Block& block) {
  block.d = f32_to_f16(scale);
  block.m = f32_to_f16(minimum);
  pack(codes, block);
}

template <typename Block>
void encode_with_minimum(std::span<const float> weights, const Importance& importance, int top,
                         std::span<Block> blocks) {
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Grids found = searches().with_minimum(lanes, weighted_search(top));
    for (std::size_t b = 0; b < blocks.size(); ++b)
      store(found.scale[b], -found.minimum[b], codes_of(lanes, b), blocks[b]);
    return;
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto block = weights.subspan(b * 32).first<32>();
    const Affine affine = with_minimum(block, top);
    store(affine.scale, affine.minimum, codes_of(block, affine, top), blocks[b]);
  }
}

}  // namespace

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_0> blocks) {
  encode_symmetric(weights, importance, 8, blocks);
}

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_1> blocks) {
  encode_with_minimum(weights, importance, 15, blocks);
}

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_0> blocks) {
  encode_symmetric(weights, importance, 16, blocks);
}

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_1> blocks) {
  encode_with_minimum(weights, importance, 31, blocks);
}

void encode_block(std::span<const float, 32> weights, const Importance& /*importance*/,
                  kernels::BlockQ8_0& block) {
  float magnitude = 0.0f;
  for (const float x : weights) magnitude = std::max(magnitude, std::fabs(x));
  const float scale = magnitude / 127;
  const float inverse = inverse_of(scale);
  block.d = f32_to_f16(scale);
  block.codes = searches().nearest_bytes(weights, inverse);
}

}  // namespace stepdown::quant
