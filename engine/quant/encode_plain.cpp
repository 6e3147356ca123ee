// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; searched only under an
// importance matrix, and never for Q8_0.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/pack_bits.h"

namespace stepdown::quant {
namespace {

float inverse_of(float scale) {
  return scale != 0 ? 1.0f / scale : 0.0f;
}

/// ggml takes the first weight of the largest magnitude, and no zero's sign.
float extreme_of(std::span<const float> block, float low, float high) {
  if (high != -low) return high > -low ? high : low;
  return high > 0 ? *std::ranges::find_if(block, [&](float x) { return std::fabs(x) == high; }) : 0.0f;
}

constexpr std::size_t kMost = GroupLanes::kGroups;  // blocks at once
using Codes = std::array<std::uint8_t, kMost * 32>;
using BlockCodes = std::span<const std::uint8_t, 32>;

BlockCodes of_block(const Codes& codes, std::size_t block) {
  return std::span(codes).subspan(block * 32).first<32>();
}

template <typename Block>
void pack(BlockCodes codes, Block& block) {
  pack_bits<4>(codes, 0, block.codes);
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

Codes codes_of(const GroupLanes& lanes, std::size_t blocks) {
  Codes codes;
  for (std::size_t b = 0; b < blocks; ++b) lanes.take(b, std::span(codes).subspan(b * 32, 32));
  return codes;
}

/// The weight of largest magnitude becomes code 0, zero the middle code.
template <typename Block>
void encode_symmetric(std::span<const float> weights, const Importance& importance, int half,
                      std::span<Block> blocks) {
  Codes codes;
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Scales scales = searches().symmetric(lanes, half);
    for (std::size_t b = 0; b < blocks.size(); ++b) blocks[b].d = f32_to_f16(scales[b]);
    codes = codes_of(lanes, blocks.size());
  } else {
    BlockRanges ranges;
    searches().ranges_of(weights, ranges);
    AffineCodes affine = {.offset = static_cast<float>(half) + 0.5f, .top = 2 * half - 1};
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      const float extreme = extreme_of(weights.subspan(b * 32, 32), ranges.low[b], ranges.high[b]);
      const float scale = extreme / static_cast<float>(-half);
      affine.inverse[b] = inverse_of(scale);
      blocks[b].d = f32_to_f16(scale);
    }
    searches().affine_codes(weights, affine, codes);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) pack(of_block(codes, b), blocks[b]);
}

template <typename Block>
void encode_with_minimum(std::span<const float> weights, const Importance& importance, int top,
                         std::span<Block> blocks) {
  Codes codes;
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Grids found = searches().with_minimum(lanes, weighted_search(top));
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      blocks[b].d = f32_to_f16(found.scale[b]);
      blocks[b].m = f32_to_f16(-found.minimum[b]);
    }
    codes = codes_of(lanes, blocks.size());
  } else {
    BlockRanges ranges;
    searches().ranges_of(weights, ranges);
    AffineCodes affine = {.minimum = ranges.low, .offset = 0.5f, .top = top};
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      const float scale = (ranges.high[b] - ranges.low[b]) / static_cast<float>(top);
      affine.inverse[b] = inverse_of(scale);
      blocks[b].d = f32_to_f16(scale);
      blocks[b].m = f32_to_f16(ranges.low[b]);
    }
    searches().affine_codes(weights, affine, codes);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) pack(of_block(codes, b), blocks[b]);
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

void encode_blocks(std::span<const float> weights, const Importance& /*importance*/,
                   std::span<kernels::BlockQ8_0> blocks) {
  BlockRanges ranges;
  searches().ranges_of(weights, ranges);
  GroupLanes::Lanes inverse;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const float scale = std::max(std::fabs(ranges.low[b]), std::fabs(ranges.high[b])) / 127;
    inverse[b] = inverse_of(scale);
    blocks[b].d = f32_to_f16(scale);
  }
  std::array<std::int8_t, kMost * 32> codes;
  searches().nearest_bytes(weights, inverse, codes);
  for (std::size_t b = 0; b < blocks.size(); ++b)
    std::ranges::copy_n(codes.begin() + static_cast<std::ptrdiff_t>(b * 32), 32, blocks[b].codes.begin());
}

}  // namespace stepdown::quant
