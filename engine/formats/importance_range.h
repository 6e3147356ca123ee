#pragma once

namespace stepdown::formats {

/// Whether a column's mean square can be weighed by: beyond it inputs were larger than any sound model's, and
/// the encoders' sums of products in F32 overflow to NaN.
inline bool is_importance(float mean_square) {
  return mean_square >= 0 && mean_square <= 1e15f;
}

}  // namespace stepdown::formats
