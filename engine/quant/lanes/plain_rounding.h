#pragma once

#include <algorithm>
#include <cmath>

#include "engine/quant/lanes/searches.h"
#include "engine/quant/lanes/vector_of.h"

// What types without a search do to blocks of 32 weights, and how rows of binary16 are read.
namespace stepdown::quant {

template <std::size_t Width>
BlockRange range_of(std::span<const float, 32> block) {
  using V = VectorOf<Width>;
  auto low = V::load(block.data());
  auto high = low;
  for (std::size_t first = Width; first < block.size(); first += Width) {
    const auto x = V::load(block.data() + first);
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  BlockRange range{low[0], high[0]};
  for (std::size_t lane = 1; lane < Width; ++lane) {
    range.low = std::min(range.low, static_cast<float>(low[lane]));
    range.high = std::max(range.high, static_cast<float>(high[lane]));
  }
  // Of equal ones, which zeros of either sign are, ggml takes the first.
  if (range.low == 0.0f) range.low = *std::ranges::find(block, 0.0f);
  return range;
}

/// Integers of [0, top], cut off towards zero; what is no number is zero.
template <std::size_t Width>
std::array<std::uint8_t, 32> affine_codes(std::span<const float, 32> block, const AffineCode& code) {
  using V = VectorOf<Width>;
  const auto top = static_cast<float>(code.top);
  std::array<std::uint8_t, 32> codes;
  for (std::size_t first = 0; first < block.size(); first += Width) {
    auto value = (V::load(block.data() + first) - code.minimum) * code.inverse + code.offset;
    value = value > 0.0f ? value : V::all(0.0f);
    value = value < top ? value : V::all(top);
    const auto whole = __builtin_convertvector(value, typename V::Integers);
    const auto bytes = __builtin_convertvector(whole, typename V::Bytes);
    std::memcpy(codes.data() + first, &bytes, sizeof bytes);
  }
  return codes;
}

template <std::size_t Width>
std::array<std::int8_t, 32> nearest_bytes(std::span<const float, 32> block, float inverse) {
  using V = VectorOf<Width>;
  constexpr float kBelowHalf = 0x1.fffffep-2f;  // adding a half itself would round 0.49999997 up
  std::array<std::int8_t, 32> codes;
  for (std::size_t first = 0; first < block.size(); first += Width) {
    auto value = inverse * V::load(block.data() + first);
    value = value == value ? value : V::all(0.0f);
    value = value > 127.0f ? V::all(127.0f) : value;
    value = value < -127.0f ? V::all(-127.0f) : value;
    value += value < 0.0f ? V::all(-kBelowHalf) : V::all(kBelowHalf);
    const auto whole = __builtin_convertvector(value, typename V::Integers);
    const auto bytes = __builtin_convertvector(whole, typename V::Bytes);
    std::memcpy(codes.data() + first, &bytes, sizeof bytes);
  }
  return codes;
}

template <std::size_t Width>
bool widen_f16(std::span<const std::byte> from, std::span<float> to) {
  using V = VectorOf<Width>;
  typename V::Floats largest = {};
  for (std::size_t first = 0; first < to.size(); first += Width) {
    const std::size_t count = std::min(Width, to.size() - first);
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
  }
  float most = 0.0f;
  for (std::size_t lane = 0; lane < Width; ++lane) most = std::max(most, static_cast<float>(largest[lane]));
  return most < 65536.0f;  // infinities and what is no number have become at least that
}

}  // namespace stepdown::quant
