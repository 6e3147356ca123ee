// Q3_K and Q6_K: groups of 16 weights around zero, with signed integer scales.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

using Codes = std::array<std::uint8_t, 256>;
constexpr std::size_t kGroup = 16;
constexpr std::size_t kGroups = 16;

std::span<const float> group_of(std::span<const float, 256> weights, std::size_t group) {
  return weights.subspan(group * kGroup, kGroup);
}

/// The scale of largest magnitude, with its sign.
float extreme(const std::array<float, kGroups>& scales) {
  return *std::ranges::max_element(scales, {}, [](float scale) { return std::fabs(scale); });
}

/// The codes anew, now that the scale is rounded; a scale of zero keeps those found by the search.
void requantize(std::span<const float> group, float scale, int half, std::span<std::uint8_t> codes) {
  if (scale == 0) return;
  for (std::size_t i = 0; i < group.size(); ++i) {
    codes[i] = static_cast<std::uint8_t>(std::clamp(nearest_int(group[i] / scale), -half, half - 1) + half);
  }
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

void plain_q3_scales(std::span<const float, 256> weights, Codes& codes, kernels::BlockQ3_K& block) {
  std::array<float, kGroups> scales;
  for (std::size_t g = 0; g < kGroups; ++g) {
    scales[g] =
        search_symmetric_descent(group_of(weights, g), 4, std::span(codes).subspan(g * kGroup, kGroup));
  }
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

void weighted_q3_scales(std::span<const float, 256> weights, const Importance& importance, Codes& codes,
                        kernels::BlockQ3_K& block) {
  const float mean_square = 2 * sum_of_squares(weights) / 256;
  std::array<float, kGroups> scales;
  std::array<float, kGroups> counts;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto group = group_of(weights, g);
    const auto group_weights =
        error_weights<kGroup>(group, importance.columns.subspan(g * kGroup, kGroup), mean_square);
    counts[g] = std::accumulate(group_weights.begin(), group_weights.end(), 0.0f);
    scales[g] = search_symmetric(group, group_weights, 4, std::span(codes).subspan(g * kGroup, kGroup));
  }
  std::array<std::uint8_t, kGroups> scale_codes;
  block.d = f32_to_f16(search_symmetric(scales, counts, 32, scale_codes));
  block.scales = {};
  for (std::size_t g = 0; g < kGroups; ++g) pack_q3_scale(block.scales, g, scale_codes[g]);
}

}  // namespace

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ3_K& block) {
  Codes codes;
  if (importance.given()) {
    weighted_q3_scales(weights, importance, codes, block);
  } else {
    plain_q3_scales(weights, codes, block);
  }
  const float d = f16_to_f32(block.d);
  for (std::size_t g = 0; g < kGroups; ++g) {
    const int scale = kernels::unpack_q3_scale(block.scales, static_cast<unsigned>(g)) - 32;
    requantize(group_of(weights, g), d * static_cast<float>(scale), 4,
               std::span(codes).subspan(g * kGroup, kGroup));
  }
  block.high = {};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    block.high[i % 32] = static_cast<std::uint8_t>(block.high[i % 32] | (codes[i] >> 2) << (i / 32));
  }
  pack_pairs(codes, 0, block.codes);
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ6_K& block) {
  Codes codes;
  std::array<float, kGroups> scales;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto counts =
        importance.given() ? importance.columns.subspan(g * kGroup, kGroup) : std::span<const float>();
    scales[g] =
        search_symmetric(group_of(weights, g), counts, 32, std::span(codes).subspan(g * kGroup, kGroup));
  }
  block = {};
  const float largest = extreme(scales);
  if (std::fabs(largest) < 1e-15f) return;
  const float inverse = -128.0f / largest;
  block.d = f32_to_f16(1 / inverse);
  const float d = f16_to_f32(block.d);
  for (std::size_t g = 0; g < kGroups; ++g) {
    block.scales[g] = static_cast<std::int8_t>(std::min(127, nearest_int(inverse * scales[g])));
    requantize(group_of(weights, g), d * static_cast<float>(block.scales[g]), 32,
               std::span(codes).subspan(g * kGroup, kGroup));
  }
  for (std::size_t i = 0; i < block.codes.size(); ++i) {
    const std::size_t first = i / 64 * 128 + i % 64;
    block.codes[i] = static_cast<std::uint8_t>((codes[first] & 15) | (codes[first + 64] & 15) << 4);
  }
  pack_pairs(codes, 4, block.high);
}

}  // namespace stepdown::quant
