// Q3_K and Q6_K: groups of 16 weights around zero, with signed integer scales.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/pack_bits.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

using Codes = std::array<std::uint8_t, 256>;
constexpr std::size_t kGroup = 16;
constexpr std::size_t kGroups = 16;
static_assert(kGroups == GroupLanes::kGroups);

void fill(GroupLanes& lanes, std::span<const float, 256> weights) {
  lanes.size = kGroup;
  for (std::size_t g = 0; g < kGroups; ++g) lanes.put(g, weights.subspan(g * kGroup, kGroup));
}

Codes codes_of(const GroupLanes& lanes) {
  Codes codes;
  for (std::size_t g = 0; g < kGroups; ++g) lanes.take(g, std::span(codes).subspan(g * kGroup, kGroup));
  return codes;
}

/// The scale of largest magnitude, with its sign.
float extreme(const Scales& scales) {
  return *std::ranges::max_element(scales, {}, [](float scale) { return std::fabs(scale); });
}

/// Each 128 codes share 32 bytes.
void pack_pairs(const Codes& codes, int shift, std::array<std::uint8_t, 64>& packed) {
  for (std::size_t half = 0; half < 2; ++half)
    pack_bits<2>(std::span(codes).subspan(half * 128, 128), shift, std::span(packed).subspan(half * 32, 32));
}

void pack_q3_scale(std::array<std::uint8_t, 12>& packed, std::size_t group, int scale) {
  const int low_shift = group < 8 ? 0 : 4;
  packed[group % 8] = static_cast<std::uint8_t>(packed[group % 8] | (scale & 15) << low_shift);
  packed[8 + group % 4] =
      static_cast<std::uint8_t>(packed[8 + group % 4] | (scale >> 4) << (2 * (group / 4)));
}

void plain_q3_scales(const Scales& scales, kernels::BlockQ3_K& block) {
  block.scales = {};
  block.d = 0;
  if (const float largest = extreme(scales); largest != 0) {
    const float inverse = -32.0f / largest;
    for (std::size_t g = 0; g < kGroups; ++g) {
      pack_q3_scale(block.scales, g, std::clamp(nearest_int(inverse * scales[g]), -32, 31) + 32);
    }
    block.d = f32_to_f16(1 / inverse);
  }
}

void weighted_q3_scales(std::span<const float, 256> weights, std::span<const float> columns,
                        GroupLanes& lanes, kernels::BlockQ3_K& block) {
  const float mean_square = 2 * sum_of_squares(weights) / 256;
  GroupLanes outer;  // the groups' scales are a group themselves
  outer.size = kGroups;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto counts = error_weights<kGroup>(weights.subspan(g * kGroup, kGroup),
                                              columns.subspan(g * kGroup, kGroup), mean_square);
    outer.counts[g][0] = std::accumulate(counts.begin(), counts.end(), 0.0f);
    lanes.count(g, counts);
  }
  outer.put(0, searches().symmetric(lanes, 4));
  block.d = f32_to_f16(searches().symmetric(outer, 32)[0]);
  std::array<std::uint8_t, kGroups> scale_codes;
  outer.take(0, scale_codes);
  block.scales = {};
  for (std::size_t g = 0; g < kGroups; ++g) pack_q3_scale(block.scales, g, scale_codes[g]);
}

/// The codes under the scales that were stored.
void store_q3_codes(GroupLanes& lanes, kernels::BlockQ3_K& block) {
  const float d = f16_to_f32(block.d);
  Scales stored;
  for (std::size_t g = 0; g < kGroups; ++g)
    stored[g] = d * static_cast<float>(kernels::unpack_q3_scale(block.scales, static_cast<unsigned>(g)) - 32);
  searches().round_symmetric(lanes, stored, 4);
  const Codes codes = codes_of(lanes);
  pack_bits<1>(codes, 2, block.high);
  pack_pairs(codes, 0, block.codes);
}

}  // namespace

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ3_K> blocks) {
  std::array<GroupLanes, kTogether<kernels::BlockQ3_K>> all;
  const auto lanes = std::span(all).first(blocks.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto block = weights.subspan(b * 256).first<256>();
    fill(lanes[b], block);
    if (importance.given())
      weighted_q3_scales(block, importance.columns.subspan(b * 256, 256), lanes[b], blocks[b]);
    else
      searches().count_by_square(lanes[b]);
  }
  if (!importance.given()) {
    std::array<Scales, kTogether<kernels::BlockQ3_K>> scales;
    searches().descent(lanes, 4, scales);
    for (std::size_t b = 0; b < blocks.size(); ++b) plain_q3_scales(scales[b], blocks[b]);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) store_q3_codes(lanes[b], blocks[b]);
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ6_K& block) {
  GroupLanes lanes;
  fill(lanes, weights);
  if (importance.given()) {
    for (std::size_t g = 0; g < kGroups; ++g) lanes.count(g, importance.columns.subspan(g * kGroup, kGroup));
  } else {
    searches().count_by_square(lanes);
  }
  const Scales scales = searches().symmetric(lanes, 32);
  block = {};
  const float largest = extreme(scales);
  if (std::fabs(largest) < 1e-15f) return;
  const float inverse = -128.0f / largest;
  block.d = f32_to_f16(1 / inverse);
  const float d = f16_to_f32(block.d);
  Scales stored;
  for (std::size_t g = 0; g < kGroups; ++g) {
    block.scales[g] = static_cast<std::int8_t>(std::min(127, nearest_int(inverse * scales[g])));
    stored[g] = d * static_cast<float>(block.scales[g]);
  }
  searches().round_symmetric(lanes, stored, 32);
  const Codes codes = codes_of(lanes);
  for (std::size_t half = 0; half < 2; ++half)
    pack_bits<4>(std::span(codes).subspan(half * 128, 128), 0, std::span(block.codes).subspan(half * 64, 64));
  pack_pairs(codes, 4, block.high);
}

}  // namespace stepdown::quant
