#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace stepdown::quant {

/// The scale under which a group of 32 weights errs least when it is rounded to IQ4's levels, by ggml's
/// search: of the first guess and 7 on either side.
float search_level_scale(std::span<const float, 32> group, std::span<const float, 32> weights);

/// Which level is nearest to each weight times `inverse`; the upper one of two equally near.
std::array<std::uint8_t, 32> nearest_levels(std::span<const float, 32> group, float inverse);

}  // namespace stepdown::quant
