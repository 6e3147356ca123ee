#pragma once

#include <span>

namespace stepdown::quant {

/// The scale under which a group of 32 weights errs least when it is rounded to IQ4's levels, by ggml's
/// search: of the first guess and 7 on either side.
float search_level_scale(std::span<const float, 32> group, std::span<const float, 32> weights);

}  // namespace stepdown::quant
