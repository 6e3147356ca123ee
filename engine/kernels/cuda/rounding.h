#pragma once

#include "engine/kernels/cuda/platform.h"

namespace stepdown::kernels::cuda {

/// ±count as binary16 in both halves; count below 2048, where binary16 is exact.
constexpr Word halves_of(int count) {
  Word bits = count < 0 ? 0x8000u : 0u;
  const int magnitude = count < 0 ? -count : count;
  if (magnitude != 0) {
    int exponent = 0;
    while (magnitude >> (exponent + 1) != 0) ++exponent;
    bits |= static_cast<Word>((exponent + 15) << 10 | (magnitude - (1 << exponent)) << (10 - exponent));
  }
  return bits * 0x10001u;
}
inline constexpr Word kExponent1024 = 0x64006400u;  ///< binary16 1024 twice: its low ten bits count ones
inline constexpr Word kSixteenth = 0x2c002c00u;     ///< binary16 1/16 twice

/// Nearest binary16. Finite values beyond its range become its largest, so that one large activation costs
/// precision, not the answer; NaN and infinities stay, so that they show in the logits.
__device__ inline std::uint16_t rounded_half(float value) {
  constexpr float kLargest = 65504.0f;
  if (fabsf(value) > kLargest && fabsf(value) < INFINITY) value = copysignf(kLargest, value);
  return static_cast<std::uint16_t>(pack_halves(value, 0.0f));
}

/// FP8 E4M3 (OCP, "fn"): nearest even, saturating at 448, NaN stays NaN.
__host__ __device__ inline std::uint8_t rounded_e4m3(float value) {
  const float magnitude = fabsf(value);
  const std::uint8_t sign = copysignf(1.0f, value) < 0.0f ? 0x80 : 0;
  if (!(magnitude <= INFINITY)) return sign | 0x7f;
  if (magnitude >= 448.0f) return sign | 0x7e;
  if (magnitude < 0.015625f)  // subnormals: multiples of 2⁻⁹; 8 of them are the first normal
    return static_cast<std::uint8_t>(sign | static_cast<std::uint8_t>(rintf(magnitude * 512.0f)));
  int exponent = 0;  // magnitude = fraction · 2^exponent, fraction in [0.5, 1)
  const float fraction = frexpf(magnitude, &exponent);
  const int mantissa = static_cast<int>(rintf(fraction * 16.0f));  // 8…16; 16 carries into the exponent
  const int code = (exponent + 6) * 8 + (mantissa - 8);
  return static_cast<std::uint8_t>(sign | (code > 0x7e ? 0x7e : code));
}

/// Two E4M3 codes in the low bytes of each half as binary16 numbers in units of 2⁻⁸: E4M3's sign, exponent
/// and mantissa at binary16's places, its exponent then off by the 8 between the biases. NaN's code comes out
/// as 480 · 2⁻⁸, so that its scale must tell of it.
__device__ inline Word halves_of_e4m3(Word codes) {
  return (codes & 0x00800080u) << 8 | (codes & 0x007f007fu) << 7;
}

}  // namespace stepdown::kernels::cuda
