#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "engine/quant/lanes/group_lanes.h"
#include "engine/quant/lanes/vector_of.h"

namespace stepdown::quant {

constexpr std::size_t kBlock = 32;

/// The least and the largest weight of blocks of 32, a lane each.
struct BlockRanges {
  GroupLanes::Lanes low = {}, high = {};
};

/// As many registers as each has lanes → one, whose lane k is the largest lane of register k: each step folds
/// lanes whose numbers differ in one bit, and with them registers whose numbers do.
template <std::size_t Width, std::size_t Bit = Width / 2>
typename VectorOf<Width>::Floats largest_of_each(const typename VectorOf<Width>::Floats* registers) {
  if constexpr (Bit == 0) {
    return *registers;
  } else {
    const auto left = largest_of_each<Width, Bit / 2>(registers);
    const auto right = largest_of_each<Width, Bit / 2>(registers + Bit);
    return [&]<int... Lane>(std::integer_sequence<int, Lane...>) {
      constexpr int kBit = Bit, kWidth = Width;
      const auto own = __builtin_shufflevector(left, right, ((Lane & kBit) != 0 ? kWidth + Lane : Lane)...);
      const auto other = __builtin_shufflevector(
          left, right, ((Lane & kBit) != 0 ? kWidth + (Lane ^ kBit) : Lane ^ kBit)...);
      return own > other ? own : other;
    }
    (std::make_integer_sequence<int, Width>());
  }
}

/// Of up to 16 blocks.
template <std::size_t Width>
BlockRanges ranges_of(std::span<const float> blocks) {
  using V = VectorOf<Width>;
  BlockRanges ranges;
  for (std::size_t first = 0; first * kBlock < blocks.size(); first += Width) {
    std::array<typename V::Floats, Width> lowest = {}, highest = {};  // the lowest with their signs turned
    for (std::size_t k = 0; k < Width; ++k) {
      if ((first + k) * kBlock >= blocks.size()) break;
      const float* block = blocks.data() + (first + k) * kBlock;
      auto low = V::load(block);
      auto high = low;
      for (std::size_t at = Width; at < kBlock; at += Width) {
        const auto x = V::load(block + at);
        low = x < low ? x : low;
        high = x > high ? x : high;
      }
      lowest[k] = -low;
      highest[k] = high;
    }
    V::store(-largest_of_each<Width>(lowest.data()), ranges.low, first);
    V::store(largest_of_each<Width>(highest.data()), ranges.high, first);
  }
  return ranges;
}

}  // namespace stepdown::quant
