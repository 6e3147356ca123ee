// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: one scale, and at most one minimum, for 32 weights; searched only under an
// importance matrix, and never for Q8_0.
#include <algorithm>
#include <cstring>

#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/pack_bits.h"

namespace stepdown::quant {
namespace {

using Codes = decltype(PlainBlocks::codes);
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

template <typename Block>
void store(const PlainBlocks& plain, std::span<Block> blocks) {
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].d = plain.scale[b];
    if constexpr (requires { blocks[b].m; }) blocks[b].m = plain.minimum[b];
    pack(of_block(plain.codes, b), blocks[b]);
  }
}

template <typename Block>
void encode_symmetric(std::span<const float> weights, const Importance& importance, int half,
                      std::span<Block> blocks) {
  PlainBlocks plain;
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Scales scales = searches().symmetric(lanes, half);
    std::ranges::transform(scales, plain.scale.begin(), f32_to_f16);
    plain.codes = codes_of(lanes, blocks.size());
  } else {
    searches().plain_symmetric(weights, half, plain);
  }
  store(plain, blocks);
}

template <typename Block>
void encode_with_minimum(std::span<const float> weights, const Importance& importance, int top,
                         std::span<Block> blocks) {
  PlainBlocks plain;
  if (importance.given()) {
    GroupLanes lanes = lanes_of(weights, importance);
    const Grids found = searches().with_minimum(lanes, weighted_search(top));
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      plain.scale[b] = f32_to_f16(found.scale[b]);
      plain.minimum[b] = f32_to_f16(-found.minimum[b]);
    }
    plain.codes = codes_of(lanes, blocks.size());
  } else {
    searches().plain_with_minimum(weights, top, plain);
  }
  store(plain, blocks);
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
  PlainBlocks plain;
  searches().plain_bytes(weights, plain);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].d = plain.scale[b];
    std::memcpy(blocks[b].codes.data(), of_block(plain.codes, b).data(), 32);
  }
}

}  // namespace stepdown::quant
