#pragma once

#include <array>
#include <cstddef>

#include "engine/quant/scale_search.h"

namespace stepdown::quant {

/// Up to 16 groups of at most 32 weights, [weight][group]: one lane is one group, which adds up in its own
/// order, as ggml does.
struct GroupLanes {
  static constexpr std::size_t kGroups = 16;
  static constexpr std::size_t kSize = 32;
  using Lanes = std::array<float, kGroups>;
  std::size_t size = 0;  ///< weights of a group
  std::array<Lanes, kSize> values = {};
  std::array<Lanes, kSize> weights = {};
  std::array<Lanes, kSize> codes = {};  ///< what the search finds
};

/// search_with_minimum of all groups at once, with the same results.
std::array<ScaleAndMinimum, GroupLanes::kGroups> search_with_minimum(GroupLanes& groups,
                                                                     const MinimumSearch& search);

}  // namespace stepdown::quant
