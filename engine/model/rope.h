#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/model/architecture.h"

namespace stepdown::model {

/// The frequencies of rotary positions, and by how much cosines and sines are stretched.
struct RopeFrequencies {
  std::vector<float> frequencies;  ///< one a pair
  float magnitude = 1.0f;
};

/// Frequencies θ^(−2i/dimensions), divided by `factors` (llama 3's or LongRoPE's; empty: all 1)
/// and scaled: linear by Chen et al. 2023, YaRN by Peng et al. 2023.
RopeFrequencies rope_frequencies(std::int64_t dimensions, float theta, std::span<const float> factors,
                                 const formats::RopeScaling& scaling);

/// Rotary position embedding (Su et al. 2021).
class Rope {
 public:
  Rope(RopeFrequencies frequencies, RopeLayout layout, std::int64_t max_rows);

  /// Computes the rotations of one row of a step.
  void set(std::int64_t row, std::int64_t position);
  /// Rotates the first elements of each head, two a frequency: values is [heads][head_dim].
  void apply(std::int64_t row, float* values, std::int64_t heads, std::int64_t head_dim) const;

 private:
  RopeFrequencies frequencies_;
  RopeLayout layout_;
  std::int64_t width_;            ///< elements that apply() changes in each head
  std::vector<float> rotations_;  ///< [row]{what an element is multiplied with, what its partner is}
};

}  // namespace stepdown::model
