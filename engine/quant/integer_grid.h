#pragma once

#include <cstdint>
#include <span>

namespace stepdown::quant {

/// The values that a group of weights may take: scale · (code − zero), codes 0 … 2^bits − 1. The scale is a
/// binary16 value, as checkpoints store it.
struct IntegerGrid {
  float scale = 1.0f;
  int zero = 0;
  int top = 0;  ///< largest code

  int code(float weight) const;
  float value(int code) const { return scale * static_cast<float>(code - zero); }
  float rounded(float weight) const { return value(code(weight)); }
};

struct GridSearch {
  int bits = 4;
  bool symmetric = true;
  bool search_clip = true;  ///< try narrower ranges and keep the one of least squared error
};

/// The grid for one group.
IntegerGrid find_grid(std::span<const float> weights, const GridSearch& search);
/// The grid of the range [low, high], widened to hold 0.
IntegerGrid grid_of_range(float low, float high, const GridSearch& search);

}  // namespace stepdown::quant
