#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "engine/quant/lanes/group_lanes.h"

namespace stepdown::quant {

/// A register of 4, 8 or 16 lanes: GCC 12 misreads a vector whose size is a template's.
template <std::size_t Width>
struct VectorTypes;
template <>
struct VectorTypes<4> {
  using Floats [[gnu::vector_size(16)]] = float;
  using Integers [[gnu::vector_size(16)]] = std::int32_t;
  using Halves [[gnu::vector_size(8)]] = std::uint16_t;
  using Bytes [[gnu::vector_size(4)]] = std::uint8_t;
};
template <>
struct VectorTypes<8> {
  using Floats [[gnu::vector_size(32)]] = float;
  using Integers [[gnu::vector_size(32)]] = std::int32_t;
  using Halves [[gnu::vector_size(16)]] = std::uint16_t;
  using Bytes [[gnu::vector_size(8)]] = std::uint8_t;
};
template <>
struct VectorTypes<16> {
  using Floats [[gnu::vector_size(64)]] = float;
  using Integers [[gnu::vector_size(64)]] = std::int32_t;
  using Halves [[gnu::vector_size(32)]] = std::uint16_t;
  using Bytes [[gnu::vector_size(16)]] = std::uint8_t;
};

/// What one register holds of lanes. Compilers take masks of compared lanes apart unless the width is the
/// machine's own, so each instruction set has one.
template <std::size_t Width>
struct VectorOf {
  using Floats = typename VectorTypes<Width>::Floats;
  using Integers = typename VectorTypes<Width>::Integers;
  using Halves = typename VectorTypes<Width>::Halves;
  using Bytes = typename VectorTypes<Width>::Bytes;

  static Floats all(float value) { return Floats{} + value; }
  static Floats load(const float* from) {
    Floats lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
  }
  static Floats load(const GroupLanes::Lanes& from, std::size_t first) { return load(from.data() + first); }
  static void store(const Floats& lanes, GroupLanes::Lanes& into, std::size_t first) {
    std::memcpy(into.data() + first, &lanes, sizeof lanes);
  }
  static Floats magnitude(const Floats& x) { return x < 0.0f ? -x : x; }

  /// The largest lane, of equal ones the first; none may be NaN.
  static float most(const Floats& x) {
    if constexpr (Width == 4) {
      return std::max(std::max(x[0], x[1]), std::max(x[2], x[3]));
    } else {
      using Half = VectorOf<Width / 2>;
      std::array<typename Half::Floats, 2> halves;
      std::memcpy(&halves, &x, sizeof halves);
      return Half::most(halves[1] > halves[0] ? halves[1] : halves[0]);
    }
  }

  /// Nearest integers within [low, high], rounded as ggml does.
  static Floats rounded(const Floats& value, int low, int high) {
    // Adding 1.5·2²³ leaves the rounded integer in the low mantissa bits.
    const auto bits = reinterpret_cast<Integers>(value + 12582912.0f);
    Integers nearest = (bits & 0x007fffff) - 0x00400000;
    nearest = nearest < low ? Integers{} + low : nearest;
    nearest = nearest > high ? Integers{} + high : nearest;
    return __builtin_convertvector(nearest, Floats);
  }
};

}  // namespace stepdown::quant
