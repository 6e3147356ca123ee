#pragma once

#include "engine/quant/lanes/level_fit.h"
#include "engine/quant/lanes/minimum_search.h"
#include "engine/quant/lanes/plain_rounding.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/lanes/symmetric_search.h"

namespace stepdown::quant {

/// The whole row of an instruction set whose registers hold `Width` floats.
template <std::size_t Width>
constexpr Searches searches_of(std::string_view name, bool (*supported)()) {
  return {
      .name = name,
      .supported = supported,
      .count_by_magnitude = count_by_magnitude<Width>,
      .count_by_square = count_by_square<Width>,
      .with_minimum = search_with_minimum<Width>,
      .symmetric = search_symmetric<Width>,
      .descent = search_descent<Width>,
      .round_with_minimum = round_with_minimum<Width>,
      .round_symmetric = round_symmetric<Width>,
      .fit_levels = fit_levels<Width>,
      .plain_symmetric = plain_symmetric<Width>,
      .plain_with_minimum = plain_with_minimum<Width>,
      .plain_bytes = plain_bytes<Width>,
      .widen_f16 = widen_f16<Width>,
      .nearest_levels = nearest_levels<Width>,
  };
}

}  // namespace stepdown::quant
