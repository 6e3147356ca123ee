#include "engine/formats/quantized/float8.h"

#include <cmath>
#include <limits>

namespace stepdown::formats {

float e4m3_to_f32(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

std::uint8_t f32_to_e4m3(float value) {
  const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 0x80 : 0);
  if (std::isnan(value)) return sign | 0x7f;
  const float magnitude = std::fmin(std::fabs(value), kLargestE4m3);
  if (magnitude == 0) return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);          // magnitude = m · 2^exponent with m in [0.5, 1)
  exponent = exponent < -5 ? -5 : exponent;  // below 2⁻⁶ steps stay 2⁻⁹
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 4 - exponent)));
  // `steps` is 8…16 for normal numbers; 16 carries into the exponent by itself.
  const int code = (exponent + 5) * 8 + steps;
  return static_cast<std::uint8_t>(sign | code);
}

}  // namespace stepdown::formats
