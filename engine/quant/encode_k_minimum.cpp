// Q2_K, Q4_K and Q5_K: groups with a scale and a minimum, both integers of a block-wide scale.
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

/// What the search found for each group of a block, and how much the groups count.
template <std::size_t Groups>
struct Found {
  std::array<float, Groups> scales;
  std::array<float, Groups> minima;
  std::array<float, Groups> counts;  ///< under an importance matrix
};

template <std::size_t Groups>
void fill(GroupLanes& lanes, std::span<const float> weights, const Importance& importance) {
  constexpr std::size_t kSize = 256 / Groups;
  lanes.size = kSize;
  for (std::size_t at = 0; at < weights.size(); at += kSize)
    lanes.put(at / kSize, weights.subspan(at, kSize));
  if (!importance.given()) return searches().count_by_magnitude(lanes, kSize == 32);
  for (std::size_t block = 0; block < weights.size(); block += 256) {
    const float mean_square = (kSize == 32 ? 2 : 1) * sum_of_squares(weights.subspan(block, 256)) / 256;
    for (std::size_t at = block; at < block + 256; at += kSize) {
      lanes.count(at / kSize, error_weights<kSize>(weights.subspan(at, kSize),
                                                   importance.columns.subspan(at, kSize), mean_square));
    }
  }
}

/// Of the block at `first` among the lanes.
template <std::size_t Groups>
Found<Groups> found_in(const GroupLanes& lanes, const Grids& grids, std::size_t first) {
  Found<Groups> found;
  for (std::size_t g = 0; g < Groups; ++g) {
    found.scales[g] = grids.scale[first + g];
    found.minima[g] = grids.minimum[first + g];
    found.counts[g] = 0.0f;
    for (std::size_t i = 0; i < lanes.size; ++i) found.counts[g] += lanes.counts[i][first + g];
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

/// Blocks of some k-quant with minima, as many as the lanes take: `store_scales` rounds a block's scales and
/// minima, stores them and tells which ones the codes are to be found under; `store_codes` packs those.
template <std::size_t Groups, typename Block>
void encode(std::span<const float> weights, const Importance& importance, const MinimumSearch& plain,
            std::span<Block> blocks, auto store_scales, auto store_codes) {
  const bool weighted = importance.given();
  GroupLanes lanes;
  fill<Groups>(lanes, weights, importance);
  const Grids found = searches().with_minimum(lanes, weighted ? weighted_search(plain.max_code) : plain);
  Grids stored;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    constexpr int kTop = Groups == 16 ? 15 : 63;
    const auto block = found_in<Groups>(lanes, found, b * Groups);
    const auto scales = as_integers(block.scales, block.counts, weighted, kTop);
    const auto minima = as_integers(block.minima, block.counts, weighted, kTop);
    blocks[b].d = f32_to_f16(scales.scale);
    blocks[b].dmin = f32_to_f16(minima.scale);
    const float d = f16_to_f32(blocks[b].d);
    const float dmin = f16_to_f32(blocks[b].dmin);
    store_scales(blocks[b], scales.codes, minima.codes);
    for (std::size_t g = 0; g < Groups; ++g) {
      stored.scale[b * Groups + g] = d * static_cast<float>(scales.codes[g]);
      stored.minimum[b * Groups + g] = dmin * static_cast<float>(minima.codes[g]);
    }
  }
  searches().round_with_minimum(lanes, stored, plain.max_code);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    Codes codes;
    for (std::size_t g = 0; g < Groups; ++g)
      lanes.take(b * Groups + g, std::span(codes).subspan(g * lanes.size, lanes.size));
    store_codes(blocks[b], codes);
  }
}

/// The scales of Q4_K and Q5_K.
template <typename Block>
void store_packed(Block& block, const std::array<std::uint8_t, 8>& scales,
                  const std::array<std::uint8_t, 8>& minima) {
  for (std::size_t g = 0; g < 8; ++g) pack_scale(block.scales, g, scales[g], minima[g]);
}

/// Each 64 codes share 32 bytes.
void pack_nibbles(const Codes& codes, std::array<std::uint8_t, 128>& packed) {
  for (std::size_t quarter = 0; quarter < 4; ++quarter)
    pack_bits<4>(std::span(codes).subspan(quarter * 64, 64), 0, std::span(packed).subspan(quarter * 32, 32));
}

}  // namespace

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ2_K> blocks) {
  constexpr MinimumSearch kPlain = {3, -0.5f, 15, true};
  using Block = kernels::BlockQ2_K;
  encode<16>(
      weights, importance, kPlain, blocks,
      [](Block& block, const auto& scales, const auto& minima) {
        for (std::size_t g = 0; g < 16; ++g)
          block.scales[g] = static_cast<std::uint8_t>(scales[g] | minima[g] << 4);
      },
      [](Block& block, const Codes& codes) {
        for (std::size_t half = 0; half < 2; ++half)
          pack_bits<2>(std::span(codes).subspan(half * 128, 128), 0,
                       std::span(block.codes).subspan(half * 32, 32));
      });
}

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ4_K> blocks) {
  using Block = kernels::BlockQ4_K;
  encode<8>(weights, importance, {15, -1.0f, 20}, blocks, store_packed<Block>,
            [](Block& block, const Codes& codes) { pack_nibbles(codes, block.codes); });
}

void encode_blocks(std::span<const float> weights, const Importance& importance,
                   std::span<kernels::BlockQ5_K> blocks) {
  using Block = kernels::BlockQ5_K;
  encode<8>(weights, importance, {31, -0.5f, 15}, blocks, store_packed<Block>,
            [](Block& block, const Codes& codes) {
              pack_nibbles(codes, block.codes);
              pack_bits<1>(codes, 4, block.high);
            });
}

}  // namespace stepdown::quant
