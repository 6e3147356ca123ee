#pragma once

#include <algorithm>
#include <cmath>

#include "engine/quant/lanes/searches.h"
#include "engine/quant/lanes/vector_of.h"

// What types without a search do to blocks of 32 weights, and how rows of binary16 are read.
namespace stepdown::quant {

constexpr std::size_t kBlock = 32;

template <std::size_t Width>
void ranges_of(std::span<const float> blocks, BlockRanges& ranges) {
  using V = VectorOf<Width>;
  for (std::size_t b = 0; b < blocks.size() / kBlock; ++b) {
    const auto block = blocks.subspan(b * kBlock).first<kBlock>();
    auto low = V::load(block.data());
    auto high = low;
    for (std::size_t first = Width; first < kBlock; first += Width) {
      const auto x = V::load(block.data() + first);
      low = x < low ? x : low;
      high = x > high ? x : high;
    }
    ranges.low[b] = -V::most(-low);
    ranges.high[b] = V::most(high);
    // Of equal ones, which zeros of either sign are, ggml takes the first.
    if (ranges.low[b] == 0.0f) ranges.low[b] = *std::ranges::find(block, 0.0f);
  }
}

/// Integers of [0, top], cut off towards zero; what is no number is zero.
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
void nearest_bytes(std::span<const float> blocks, const GroupLanes::Lanes& inverse,
                   std::span<std::int8_t> codes) {
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
bool widen_f16(std::span<const std::byte> from, std::span<float> to) {
  using V = VectorOf<Width>;
  typename V::Floats largest = {};
  const auto widen = [&](std::size_t first, std::size_t count) {
    typename V::Halves halves = {};
    std::memcpy(&halves, from.data() + first * sizeof(std::uint16_t), count * sizeof(std::uint16_t));
    const auto bits = __builtin_convertvector(halves, typename V::Integers);
    const typename V::Integers moved = ((bits & 0x7fff) << 13) + (112 << 23);
    // Subnormal ones have no leading 1: it is added and subtracted again.
    const auto normal = reinterpret_cast<typename V::Floats>(moved);
    const auto subnormal = reinterpret_cast<typename V::Floats>(moved + (1 << 23)) - 0x1p-14f;
    const typename V::Integers exponent = bits & 0x7c00;
    const typename V::Floats magnitude = exponent == 0 ? subnormal : normal;
    largest = magnitude > largest ? magnitude : largest;
    const auto values = reinterpret_cast<typename V::Floats>(
        reinterpret_cast<typename V::Integers>(magnitude) | ((bits & 0x8000) << 16));
    std::memcpy(to.data() + first, &values, count * sizeof(float));
  };
  std::size_t first = 0;
  for (; first + Width <= to.size(); first += Width) widen(first, Width);
  if (first < to.size()) widen(first, to.size() - first);
  return V::most(largest) < 65536.0f;  // infinities and what is no number have become at least that
}

}  // namespace stepdown::quant
