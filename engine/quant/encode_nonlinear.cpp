// IQ4_NL and IQ4_XS: 4-bit codes stand for unevenly spaced levels, dense around zero.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/level_search.h"
#include "engine/quant/pack_bits.h"
#include "engine/quant/scale_search.h"

namespace stepdown::quant {
namespace {

constexpr std::size_t kGroup = 32;

std::array<float, kGroup> weights_of(std::span<const float> group, std::span<const float> columns,
                                     float mean_square) {
  if (!columns.empty()) return error_weights<kGroup>(group, columns, mean_square);
  std::array<float, kGroup> weights;
  std::ranges::transform(group, weights.begin(), [](float x) { return x * x; });
  return weights;
}

void pack_levels(std::span<const float, kGroup> group, float scale, std::span<std::uint8_t, 16> codes) {
  pack_bits<4>(searches().nearest_levels(group, scale != 0 ? 1 / scale : 0.0f), 0, codes);
}

}  // namespace

void encode_block(std::span<const float, 32> weights, const Importance& importance,
                  kernels::BlockIQ4_NL& block) {
  const float mean_square = sum_of_squares(weights) * (2.0f / 32);
  const float scale = search_level_scale(weights, weights_of(weights, importance.columns, mean_square));
  block.d = f32_to_f16(scale);
  pack_levels(weights, scale, block.codes);
}

void encode_block(std::span<const float, 256> weights, const Importance& importance,
                  kernels::BlockIQ4_XS& block) {
  constexpr std::size_t kGroups = 256 / kGroup;
  const float mean_square = sum_of_squares(weights) * (2.0f / 256);
  std::array<float, kGroups> scales;
  float extreme = 0.0f;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const auto group = weights.subspan(g * kGroup).first<kGroup>();
    const auto columns =
        importance.given() ? importance.columns.subspan(g * kGroup, kGroup) : std::span<const float>();
    scales[g] = search_level_scale(group, weights_of(group, columns, mean_square));
    if (std::fabs(scales[g]) > std::fabs(extreme)) extreme = scales[g];
  }
  const float d = -extreme / 32;
  const float inverse = d != 0 ? 1 / d : 0.0f;
  block = {};
  block.d = f32_to_f16(d);
  for (std::size_t g = 0; g < kGroups; ++g) {
    const int scale = std::clamp(nearest_int(inverse * scales[g]), -32, 31);
    pack_levels(weights.subspan(g * kGroup).first<kGroup>(), d * static_cast<float>(scale),
                std::span(block.codes).subspan(g * 16).first<16>());
    const int stored = scale + 32;
    block.scales_low[g / 2] =
        static_cast<std::uint8_t>(block.scales_low[g / 2] | (stored & 15) << (4 * (g % 2)));
    block.scales_high = static_cast<std::uint16_t>(block.scales_high | stored >> 4 << (2 * g));
  }
}

}  // namespace stepdown::quant
