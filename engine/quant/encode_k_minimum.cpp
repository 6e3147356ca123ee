// Q2_K, Q4_K and Q5_K: groups with a scale and a minimum, both integers of a block-wide scale.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/minimum_lanes.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

using Codes = std::array<std::uint8_t, 256>;

/// What the search found for each group of a block, and how much the groups count.
template <std::size_t Groups>
struct Found {
  std::array<float, Groups> scales;
  std::array<float, Groups> minima;
  std::array<float, Groups> counts;
};

/// How much each weight's error counts without an importance matrix: Q2_K by magnitude, the others by
/// magnitude plus the group's RMS.
template <std::size_t Size>
std::array<float, Size> plain_weights(std::span<const float> group) {
  std::array<float, Size> weights;
  const float base = Size == 32 ? std::sqrt(sum_of_squares(group) / static_cast<float>(Size)) : 0.0f;
  for (std::size_t i = 0; i < Size; ++i) weights[i] = base + std::fabs(group[i]);
  return weights;
}

template <std::size_t Groups>
Found<Groups> search_groups(std::span<const float, 256> weights, const Importance& importance,
                            const MinimumSearch& search, Codes& codes) {
  constexpr std::size_t kSize = 256 / Groups;
  const float mean_square = (kSize == 32 ? 2 : 1) * sum_of_squares(weights) / 256;
  Found<Groups> found;
  GroupLanes lanes;
  lanes.size = kSize;
  for (std::size_t g = 0; g < Groups; ++g) {
    const auto group = weights.subspan(g * kSize, kSize);
    const auto counts =
        importance.given()
            ? error_weights<kSize>(group, importance.columns.subspan(g * kSize, kSize), mean_square)
            : plain_weights<kSize>(group);
    for (std::size_t i = 0; i < kSize; ++i) {
      lanes.values[i][g] = group[i];
      lanes.weights[i][g] = counts[i];
    }
    found.counts[g] = std::accumulate(counts.begin(), counts.end(), 0.0f);
  }
  const auto results = search_with_minimum(lanes, search);
  for (std::size_t g = 0; g < Groups; ++g) {
    found.scales[g] = results[g].scale;
    found.minima[g] = results[g].minimum;
    for (std::size_t i = 0; i < kSize; ++i)
      codes[g * kSize + i] = static_cast<std::uint8_t>(lanes.codes[i][g]);
  }
  return found;
}

/// Values as integers of [0, top] times `scale`.
template <std::size_t Groups>
struct Integers {
  std::array<std::uint8_t, Groups> codes;
  float scale;
};

template <std::size_t Groups>
Integers<Groups> as_integers(const std::array<float, Groups>& values, const std::array<float, Groups>& counts,
                             bool weighted, int top) {
  Integers<Groups> result;
  if (weighted) {
    result.scale = search_positive(values, counts, top, result.codes);
    return result;
  }
  const float largest = std::max(0.0f, *std::ranges::max_element(values));
  const float inverse = largest > 0 ? static_cast<float>(top) / largest : 0.0f;
  for (std::size_t g = 0; g < Groups; ++g) {  // they wrap in a byte, as in ggml, before the cap
    result.codes[g] = static_cast<std::uint8_t>(std::min(top, nearest_int(inverse * values[g]) & 255));
  }
  result.scale = largest / static_cast<float>(top);
  return result;
}

/// The codes anew, now that scale and minimum are rounded; a scale of zero keeps those found by the search.
void requantize(std::span<const float> group, float scale, float minimum, int top,
                std::span<std::uint8_t> codes) {
  if (scale == 0) return;
  for (std::size_t i = 0; i < group.size(); ++i) {
    codes[i] = static_cast<std::uint8_t>(std::clamp(nearest_int((group[i] + minimum) / scale), 0, top));
  }
}

void pack_scale(std::array<std::uint8_t, 12>& packed, std::size_t group, int scale, int minimum) {
  if (group < 4) {
    packed[group] = static_cast<std::uint8_t>(scale);
    packed[group + 4] = static_cast<std::uint8_t>(minimum);
    return;
  }
  packed[group + 4] = static_cast<std::uint8_t>((scale & 15) | (minimum & 15) << 4);
  packed[group - 4] = static_cast<std::uint8_t>(packed[group - 4] | scale >> 4 << 6);
  packed[group] = static_cast<std::uint8_t>(packed[group] | minimum >> 4 << 6);
}

/// What Q4_K and Q5_K share: all but the packing of the codes.
template <typename Block>
Codes encode_scales(std::span<const float, 256> weights, const Importance& importance,
                    const MinimumSearch& plain, Block& block) {
  const MinimumSearch search = importance.given() ? weighted_search(plain.max_code) : plain;
  Codes codes;
  const auto found = search_groups<8>(weights, importance, search, codes);
  const auto scales = as_integers(found.scales, found.counts, importance.given(), 63);
  const auto minima = as_integers(found.minima, found.counts, importance.given(), 63);
  for (std::size_t g = 0; g < 8; ++g) pack_scale(block.scales, g, scales.codes[g], minima.codes[g]);
  block.d = f32_to_f16(scales.scale);
  block.dmin = f32_to_f16(minima.scale);
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (std::size_t g = 0; g < 8; ++g) {
    const auto [scale, minimum] = kernels::unpack_scale(block.scales, static_cast<unsigned>(g));
    requantize(weights.subspan(g * 32, 32), d * static_cast<float>(scale), dmin * static_cast<float>(minimum),
               search.max_code, std::span(codes).subspan(g * 32, 32));
  }
  return codes;
}

/// Elements i and i + 32 of each 64 share byte i.
void pack_nibbles(const Codes& codes, std::array<std::uint8_t, 128>& packed) {
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const std::size_t first = i / 32 * 64 + i % 32;
    packed[i] = static_cast<std::uint8_t>((codes[first] & 15) | (codes[first + 32] & 15) << 4);
  }
}

}  // namespace

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ2_K& block) {
  constexpr MinimumSearch kPlain = {3, -0.5f, 15, true};
  Codes codes;
  const auto found =
      search_groups<16>(weights, importance, importance.given() ? weighted_search(3) : kPlain, codes);
  const auto scales = as_integers(found.scales, found.counts, importance.given(), 15);
  const auto minima = as_integers(found.minima, found.counts, importance.given(), 15);
  block.d = f32_to_f16(scales.scale);
  block.dmin = f32_to_f16(minima.scale);
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (std::size_t g = 0; g < 16; ++g) {
    block.scales[g] = static_cast<std::uint8_t>(scales.codes[g] | minima.codes[g] << 4);
    requantize(weights.subspan(g * 16, 16), d * static_cast<float>(scales.codes[g]),
               dmin * static_cast<float>(minima.codes[g]), 3, std::span(codes).subspan(g * 16, 16));
  }
  for (std::size_t i = 0; i < block.codes.size(); ++i) {
    const std::size_t first = i / 32 * 128 + i % 32;
    block.codes[i] = static_cast<std::uint8_t>(codes[first] | codes[first + 32] << 2 |
                                               codes[first + 64] << 4 | codes[first + 96] << 6);
  }
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ4_K& block) {
  pack_nibbles(encode_scales(weights, importance, {15, -1.0f, 20}, block), block.codes);
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockQ5_K& block) {
  const Codes codes = encode_scales(weights, importance, {31, -0.5f, 15}, block);
  pack_nibbles(codes, block.codes);
  block.high = {};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    block.high[i % 32] = static_cast<std::uint8_t>(block.high[i % 32] | (codes[i] >> 4) << (i / 32));
  }
}

}  // namespace stepdown::quant
