#pragma once

#include <algorithm>
#include <cmath>

#include "engine/quant/lanes/block_ranges.h"
#include "engine/quant/lanes/half_lanes.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/lanes/vector_of.h"

// What types without a search do to blocks of 32 weights, and how rows of binary16 are read.
namespace stepdown::quant {

template <std::size_t Width>
typename VectorOf<Width>::Floats inverse_of(const typename VectorOf<Width>::Floats& scale) {
  return scale != 0.0f ? 1.0f / scale : VectorOf<Width>::all(0.0f);
}

template <std::size_t Width>
void store_halves(const typename VectorOf<Width>::Floats& lanes,
                  std::array<std::uint16_t, GroupLanes::kGroups>& into, std::size_t first) {
  const auto halves = to_halves<Width>(lanes);
  std::memcpy(into.data() + first, &halves, sizeof halves);
}

/// A block's code = (x − minimum) · inverse + offset, cut off to an integer of [0, top]; what is no number is
/// zero.
struct AffineCodes {
  GroupLanes::Lanes minimum = {}, inverse;
  float offset;
  int top;
};

template <std::size_t Width>
void affine_codes(std::span<const float> blocks, const AffineCodes& affine, std::span<std::uint8_t> codes) {
  using V = VectorOf<Width>;
  const auto top = static_cast<float>(affine.top);
  for (std::size_t first = 0; first < blocks.size(); first += Width) {
    const std::size_t b = first / kBlock;
    auto value = (V::load(blocks.data() + first) - affine.minimum[b]) * affine.inverse[b] + affine.offset;
    value = value > 0.0f ? value : V::all(0.0f);
    value = value < top ? value : V::all(top);
    const auto whole = __builtin_convertvector(value, typename V::Integers);
    const auto bytes = __builtin_convertvector(whole, typename V::Bytes);
    std::memcpy(codes.data() + first, &bytes, sizeof bytes);
  }
}

template <std::size_t Width>
void plain_symmetric(std::span<const float> blocks, int half, PlainBlocks& into) {
  using V = VectorOf<Width>;
  BlockRanges ranges = ranges_of<Width>(blocks);
  for (std::size_t b = 0; b < blocks.size() / kBlock; ++b) {
    const float high = ranges.high[b];
    if (high != -ranges.low[b]) continue;
    // Of equal magnitudes ggml takes the first, and no zero's sign: where that is not the low one, none is.
    const auto block = blocks.subspan(b * kBlock, kBlock);
    if (*std::ranges::find_if(block, [&](float x) { return std::fabs(x) == high; }) >= 0) ranges.low[b] = 0;
  }
  AffineCodes affine = {.offset = static_cast<float>(half) + 0.5f, .top = 2 * half - 1};
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto low = V::load(ranges.low, first), high = V::load(ranges.high, first);
    const typename V::Floats scale = (high > -low ? high : low) / static_cast<float>(-half);
    V::store(inverse_of<Width>(scale), affine.inverse, first);
    store_halves<Width>(scale, into.scale, first);
  }
  affine_codes<Width>(blocks, affine, into.codes);
}

template <std::size_t Width>
void plain_with_minimum(std::span<const float> blocks, int top, PlainBlocks& into) {
  using V = VectorOf<Width>;
  BlockRanges ranges = ranges_of<Width>(blocks);
  for (std::size_t b = 0; b < blocks.size() / kBlock; ++b) {
    // Of equal ones, which zeros of either sign are, ggml takes the first.
    if (ranges.low[b] == 0) ranges.low[b] = *std::ranges::find(blocks.subspan(b * kBlock, kBlock), 0.0f);
  }
  AffineCodes affine = {.minimum = ranges.low, .offset = 0.5f, .top = top};
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto low = V::load(ranges.low, first);
    const typename V::Floats scale = (V::load(ranges.high, first) - low) / static_cast<float>(top);
    V::store(inverse_of<Width>(scale), affine.inverse, first);
    store_halves<Width>(scale, into.scale, first);
    store_halves<Width>(low, into.minimum, first);
  }
  affine_codes<Width>(blocks, affine, into.codes);
}

/// x · inverse: halves go away from zero; what is no number is zero.
template <std::size_t Width>
void nearest_bytes(std::span<const float> blocks, const GroupLanes::Lanes& inverse,
                   std::span<std::uint8_t> codes) {
  using V = VectorOf<Width>;
  constexpr float kBelowHalf = 0x1.fffffep-2f;  // adding a half itself would round 0.49999997 up
  for (std::size_t first = 0; first < blocks.size(); first += Width) {
    auto value = inverse[first / kBlock] * V::load(blocks.data() + first);
    value = value == value ? value : V::all(0.0f);
    value = value > 127.0f ? V::all(127.0f) : value;
    value = value < -127.0f ? V::all(-127.0f) : value;
    value += value < 0.0f ? V::all(-kBelowHalf) : V::all(kBelowHalf);
    const auto whole = __builtin_convertvector(value, typename V::Integers);
    const auto bytes = __builtin_convertvector(whole, typename V::Bytes);
    std::memcpy(codes.data() + first, &bytes, sizeof bytes);
  }
}

template <std::size_t Width>
void plain_bytes(std::span<const float> blocks, PlainBlocks& into) {
  using V = VectorOf<Width>;
  const BlockRanges ranges = ranges_of<Width>(blocks);
  GroupLanes::Lanes inverse;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto low = V::magnitude(V::load(ranges.low, first)),
               high = V::magnitude(V::load(ranges.high, first));
    const typename V::Floats scale = (high > low ? high : low) / 127.0f;
    V::store(inverse_of<Width>(scale), inverse, first);
    store_halves<Width>(scale, into.scale, first);
  }
  nearest_bytes<Width>(blocks, inverse, into.codes);
}

/// Infinities and what is no number have the largest bits.
template <std::size_t Width>
bool widen_f16(std::span<const std::byte> from, std::span<float> to) {
  using V = VectorOf<Width>;
  typename V::Halves largest = {};
  const auto widen = [&](std::size_t first, std::size_t count) {
    typename V::Halves halves = {};
    std::memcpy(&halves, from.data() + first * sizeof(std::uint16_t), count * sizeof(std::uint16_t));
    const typename V::Halves magnitude = halves & std::uint16_t{0x7fff};
    largest = magnitude > largest ? magnitude : largest;
    const auto values = from_halves<Width>(halves);
    std::memcpy(to.data() + first, &values, count * sizeof(float));
  };
  std::size_t first = 0;
  for (; first + Width <= to.size(); first += Width) {
    __builtin_prefetch(from.data() + from.size() + first * sizeof(std::uint16_t));  // the next row's
    widen(first, Width);
  }
  if (first < to.size()) widen(first, to.size() - first);
  bool numbers = true;
  for (std::size_t lane = 0; lane < Width; ++lane) numbers = numbers && largest[lane] < 0x7c00;
  return numbers;
}

}  // namespace stepdown::quant
