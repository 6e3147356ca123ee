#pragma once

#include <cstdint>
#include <cstring>

namespace stepdown {

/// Floats that to_halves takes.
inline constexpr int kHalvesTogether = 8;

namespace halves {

using Bits [[gnu::vector_size(16)]] = std::uint32_t;
using Floats [[gnu::vector_size(16)]] = float;
using Halves [[gnu::vector_size(16)]] = std::uint16_t;

inline Bits choose(const Bits& mask, const Bits& yes, const Bits& no) {
  return (yes & mask) | (no & ~mask);
}

// The 16 bits of each in its low half.
inline Bits rounded(const float* from) {
  Bits bits;
  std::memcpy(&bits, from, sizeof bits);
  const Bits magnitude = bits & 0x7fffffffu;
  const Bits normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  Floats small;  // beside a half, a unit of a float's last place is a unit of a subnormal's
  std::memcpy(&small, &magnitude, sizeof small);
  small += 0.5f;
  Bits subnormal;
  std::memcpy(&subnormal, &small, sizeof subnormal);
  subnormal -= 0x3f000000u;
  Bits half = choose(reinterpret_cast<Bits>(magnitude < 0x38800000u), subnormal, normal);
  half = choose(reinterpret_cast<Bits>(magnitude >= 0x47800000u), Bits{} + 0x7c00u, half);
  half = choose(reinterpret_cast<Bits>(magnitude > 0x7f800000u), Bits{} + 0x7e00u, half);
  return half | ((bits >> 16) & 0x8000u);
}

}  // namespace halves

/// kHalvesTogether floats → binary16, each as f32_to_f16 rounds it, without branches.
inline void to_halves(const float* from, std::uint16_t* to) {
  const auto low = reinterpret_cast<halves::Halves>(halves::rounded(from));
  const auto high = reinterpret_cast<halves::Halves>(halves::rounded(from + kHalvesTogether / 2));
  const halves::Halves all = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  std::memcpy(to, &all, sizeof all);
}

}  // namespace stepdown
