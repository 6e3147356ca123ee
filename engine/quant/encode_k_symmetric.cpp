// Q3_K and Q6_K: groups of 16 weights around zero, with signed integer scales.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

using Codes = std::array<std::uint8_t, 256>;
constexpr std::size_t kGroup = 16;
constexpr std::size_t kGroups = 16;
static_assert(kGroups == GroupLanes::kGroups);

GroupLanes groups_of(std::span<const float, 256> weights) {
  GroupLanes lanes;
  lanes.size = kGroup;
  for (std::size_t g = 0; g < kGroups; ++g) lanes.put(g, weights.subspan(g * kGroup, kGroup));
  return lanes;
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

/// Elements i, i + 32, i + 64, i + 96 of each 128 share byte i, two bits each.
void pack_pairs(const Codes& codes, int shift, std::array<std::uint8_t, 64>& packed) {
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const std::size_t first = i / 32 * 128 + i % 32;
    int byte = 0;
    for (std::size_t k = 0; k < 4; ++k) byte |= (codes[first + 32 * k] >> shift & 3) << (2 * k);
    packed[i] = static_cast<std::uint8_t>(byte);
  }
}

void pack_q3_scale(std::array<std::uint8_t, 12>& packed, std::size_t group, int scale) {
  const int low_shift = group < 8 ? 0 : 4;
  packed[group % 8] = static_cast<std::uint8_t>(packed[group % 8] | (scale & 15) << low_shift);
  packed[8 + group % 4] =
      static_cast<std::uint8_t>(packed[8 + group % 4] | (scale >> 4) << (2 * (group / 4)));
}

void plain_q3_scales(GroupLanes& lanes, kernels::BlockQ3_K& block) {
  searches().count_by_square(lanes);
  const Scales scales = searches().descent(lanes, 4);
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

void weighted_q3_scales(std::span<const float, 256> weights, const Importance& importance, GroupLanes& lanes,
                        kernels::BlockQ3_K& block) {
  const float mean_square = 2 * sum_of_squares(weights) / 256;
  GroupLanes outer;  // the groups' scales are a group themselves
  outer.size = kGroups;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto counts = error_weights<kGroup>(weights.subspan(g * kGroup, kGroup),
                                              importance.columns.subspan(g * kGroup, kGroup), mean_square);
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

}  // namespace

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ3_K& block) {
  GroupLanes lanes = groups_of(weights);
  if (importance.given()) {
    weighted_q3_scales(weights, importance, lanes, block);
  } else {
    plain_q3_scales(lanes, block);
  }
  const float d = f16_to_f32(block.d);
  Scales stored;
  for (std::size_t g = 0; g < kGroups; ++g)
    stored[g] = d * static_cast<float>(kernels::unpack_q3_scale(block.scales, static_cast<unsigned>(g)) - 32);
  searches().round_symmetric(lanes, stored, 4);
  const Codes codes = codes_of(lanes);
  block.high = {};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    block.high[i % 32] = static_cast<std::uint8_t>(block.high[i % 32] | (codes[i] >> 2) << (i / 32));
  }
  pack_pairs(codes, 0, block.codes);
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ6_K& block) {
  GroupLanes lanes = groups_of(weights);
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
  for (std::size_t i = 0; i < block.codes.size(); ++i) {
    const std::size_t first = i / 64 * 128 + i % 64;
    block.codes[i] = static_cast<std::uint8_t>((codes[first] & 15) | (codes[first + 64] & 15) << 4);
  }
  pack_pairs(codes, 4, block.high);
}

}  // namespace stepdown::quant
