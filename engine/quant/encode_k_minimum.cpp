// Q2_K, Q4_K and Q5_K: groups with a scale and a minimum, both integers of a block-wide scale.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

using Codes = std::array<std::uint8_t, 256>;

/// What the search found for each group of a block, and the largest of either.
template <std::size_t Groups>
struct Found {
  std::array<float, Groups> scales;
  std::array<float, Groups> minima;
  float largest_scale = 0.0f;
  float largest_minimum = 0.0f;
};

/// How much each weight's error counts: Q2_K by magnitude, the others by magnitude plus the group's RMS.
template <std::size_t Size>
std::array<float, Size> importance(std::span<const float> group) {
  std::array<float, Size> weights;
  float base = 0.0f;
  if constexpr (Size == 32) {
    float squares = 0.0f;
    for (const float x : group) squares += x * x;
    base = std::sqrt(squares / static_cast<float>(Size));
  }
  for (std::size_t i = 0; i < Size; ++i) weights[i] = base + std::fabs(group[i]);
  return weights;
}

template <std::size_t Groups>
Found<Groups> search_groups(std::span<const float, 256> weights, const MinimumSearch& search, Codes& codes) {
  constexpr std::size_t kSize = 256 / Groups;
  Found<Groups> found;
  for (std::size_t g = 0; g < Groups; ++g) {
    const auto group = weights.subspan(g * kSize, kSize);
    const auto result = search_with_minimum(group, importance<kSize>(group), search,
                                            std::span(codes).subspan(g * kSize, kSize));
    found.scales[g] = result.scale;
    found.minima[g] = result.minimum;
    found.largest_scale = std::max(found.largest_scale, result.scale);
    found.largest_minimum = std::max(found.largest_minimum, result.minimum);
  }
  return found;
}

/// `value` as an integer of [0, top] when `largest` is `top`. Integers wrap in a byte, as in ggml, before the
/// cap.
int scale_code(float value, float largest, int top) {
  if (!(largest > 0)) return 0;
  const float inverse = static_cast<float>(top) / largest;
  return std::min(top, nearest_int(inverse * value) & 255);
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
Codes encode_scales(std::span<const float, 256> weights, const MinimumSearch& search, Block& block) {
  Codes codes;
  const auto found = search_groups<8>(weights, search, codes);
  for (std::size_t g = 0; g < 8; ++g) {
    pack_scale(block.scales, g, scale_code(found.scales[g], found.largest_scale, 63),
               scale_code(found.minima[g], found.largest_minimum, 63));
  }
  block.d = f32_to_f16(found.largest_scale / 63.0f);
  block.dmin = f32_to_f16(found.largest_minimum / 63.0f);
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

void encode_block(std::span<const float, 256> weights, kernels::BlockQ2_K& block) {
  constexpr MinimumSearch kSearch = {3, -0.5f, 15, true};
  Codes codes;
  const auto found = search_groups<16>(weights, kSearch, codes);
  block.d = f32_to_f16(found.largest_scale / 15.0f);
  block.dmin = f32_to_f16(found.largest_minimum / 15.0f);
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (std::size_t g = 0; g < 16; ++g) {
    const int scale = scale_code(found.scales[g], found.largest_scale, 15);
    const int minimum = scale_code(found.minima[g], found.largest_minimum, 15);
    block.scales[g] = static_cast<std::uint8_t>(scale | minimum << 4);
    requantize(weights.subspan(g * 16, 16), d * static_cast<float>(scale), dmin * static_cast<float>(minimum),
               3, std::span(codes).subspan(g * 16, 16));
  }
  for (std::size_t i = 0; i < block.codes.size(); ++i) {
    const std::size_t first = i / 32 * 128 + i % 32;
    block.codes[i] = static_cast<std::uint8_t>(codes[first] | codes[first + 32] << 2 |
                                               codes[first + 64] << 4 | codes[first + 96] << 6);
  }
}

void encode_block(std::span<const float, 256> weights, kernels::BlockQ4_K& block) {
  pack_nibbles(encode_scales(weights, {15, -1.0f, 20, false}, block), block.codes);
}

void encode_block(std::span<const float, 256> weights, kernels::BlockQ5_K& block) {
  const Codes codes = encode_scales(weights, {31, -0.5f, 15, false}, block);
  pack_nibbles(codes, block.codes);
  block.high = {};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    block.high[i % 32] = static_cast<std::uint8_t>(block.high[i % 32] | (codes[i] >> 4) << (i / 32));
  }
}

}  // namespace stepdown::quant
