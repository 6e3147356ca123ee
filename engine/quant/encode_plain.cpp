// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; searched only under an
// importance matrix, and never for Q8_0.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"

namespace stepdown::quant {
namespace {

float inverse_of(float scale) {
  return scale != 0 ? 1.0f / scale : 0.0f;
}

struct Affine {
  float scale, minimum, offset;  ///< code = (x − minimum) / scale + offset
};

/// Symmetric: the weight of largest magnitude becomes code 0, zero the middle code.
Affine symmetric(std::span<const float, 32> weights, int half) {
  const auto [low, high] = searches().range_of(weights);
  const float magnitude = std::max(std::fabs(low), std::fabs(high));
  float extreme = 0.0f;  // the first of that magnitude, as ggml takes
  if (magnitude > 0)
    extreme = *std::ranges::find_if(weights, [&](float x) { return std::fabs(x) == magnitude; });
  return {extreme / static_cast<float>(-half), 0.0f, static_cast<float>(half) + 0.5f};
}

Affine with_minimum(std::span<const float, 32> weights, int top) {
  const auto [low, high] = searches().range_of(weights);
  return {(high - low) / static_cast<float>(top), low, 0.5f};
}

using Codes = std::array<std::uint8_t, 32>;

// Scales of subnormal blocks may have overflowed to infinity.
Codes codes_of(std::span<const float, 32> weights, const Affine& affine, int top) {
  return searches().affine_codes(weights, {affine.minimum, inverse_of(affine.scale), affine.offset, top});
}

template <typename Block>
void pack(const Codes& codes, Block& block) {
  for (std::size_t i = 0; i < 16; ++i) {
    block.codes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
  }
  if constexpr (requires { block.high; }) {
    for (std::size_t i = 0; i < block.high.size(); ++i) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, codes.data() + 8 * i, sizeof eight);
      // The product moves the lowest bit of byte k to bit 56 + k.
      block.high[i] = static_cast<std::uint8_t>((eight >> 4 & 0x0101010101010101) * 0x0102040810204080 >> 56);
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
  const auto [low, high] = searches().range_of(weights);
  const float magnitude = std::max(std::fabs(low), std::fabs(high));
  const float scale = magnitude / 127;
  const float inverse = inverse_of(scale);
  block.d = f32_to_f16(scale);
  block.codes = searches().nearest_bytes(weights, inverse);
}

}  // namespace stepdown::quant
