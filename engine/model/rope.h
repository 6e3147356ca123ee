#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stepdown::model {

/// Rotary position embedding (Su et al. 2021) on interleaved pairs (2i, 2i+1), as GGUF lays out llama's
/// heads.
class Rope {
 public:
  /// `factors` divide the frequencies (llama 3's scaling, GGUF's rope_freqs.weight); empty: all 1.
  Rope(std::int64_t dimensions, float theta, std::span<const float> factors, std::int64_t max_rows);

  /// Computes the rotations of one row of a step.
  void set(std::int64_t row, std::int64_t position);
  /// Rotates the first `dimensions` of each head: values is [heads][head_dim].
  void apply(std::int64_t row, float* values, std::int64_t heads, std::int64_t head_dim) const;

 private:
  std::vector<float> frequencies_;
  std::vector<float> rotations_;  ///< [row][pair]{cos, sin}
};

}  // namespace stepdown::model
