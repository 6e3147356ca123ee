#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace stepdown::quant {

/// Up to 16 groups of at most 32 weights, [weight][group]: one lane of vector registers is one group, which
/// adds up in its own order, as ggml does. Lanes without a group hold zeros.
struct GroupLanes {
  static constexpr std::size_t kGroups = 16;
  static constexpr std::size_t kSize = 32;
  using Lanes = std::array<float, kGroups>;
  using Weights = std::array<Lanes, kSize>;
  std::size_t size = 0;  ///< weights of a group
  alignas(64) Weights values = {};
  alignas(64) Weights counts = {};  ///< how much each one's error counts
  alignas(64) Weights codes = {};   ///< what a search finds

  void put(std::size_t group, std::span<const float> from) {
    for (std::size_t i = 0; i < size; ++i) values[i][group] = from[i];
  }
  void count(std::size_t group, std::span<const float> from) {
    for (std::size_t i = 0; i < size; ++i) counts[i][group] = from[i];
  }
  void take(std::size_t group, std::span<std::uint8_t> into) const {
    for (std::size_t i = 0; i < size; ++i) into[i] = static_cast<std::uint8_t>(codes[i][group]);
  }
};

/// What groups without a minimum are stored by: value = (code − half) · scale.
using Scales = GroupLanes::Lanes;

/// What groups with one are stored by: value = code · scale − minimum.
struct Grids {
  Scales scale = {};
  Scales minimum = {};  ///< ≥ 0
};

struct MinimumSearch {
  int max_code;
  float first;  ///< first trial scale is (max_code + first) / range
  int steps;    ///< further ones follow at `delta`
  bool absolute_error = false;
  float delta = 0.1f;
};
/// The finer search that ggml makes where an importance matrix gives the weights.
constexpr MinimumSearch weighted_search(int max_code) {
  return {max_code, -0.9f, 36, false, 0.05f};
}

}  // namespace stepdown::quant
