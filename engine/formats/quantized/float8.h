#pragma once

#include <cstdint>

namespace stepdown::formats {

/// OCP FP8 E4M3 "fn": bias 7, no infinities, NaN at 0x7f and 0xff, largest 448.
inline constexpr float kLargestE4m3 = 448.0f;
float e4m3_to_f32(std::uint8_t bits);
/// Round to nearest even; magnitudes over 448 saturate, NaN stays NaN.
std::uint8_t f32_to_e4m3(float value);

}  // namespace stepdown::formats
