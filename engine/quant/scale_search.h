#pragma once

#include <cstdint>
#include <span>

namespace stepdown::quant {

/// Searches for the scale (and minimum) with which a group of weights is best written as small integers: the
/// reference algorithms of ggml's k-quants (ggml-quants.c), in the same order of float operations, so that
/// files agree byte by byte with those of llama-quantize. Groups hold 16 or 32 weights.

/// Round half to even, as ggml does for |value| < 2²²; any other float gives some int.
int nearest_int(float value);

/// codes ∈ [0, 2·half) stand for (code − half) · scale; returns the scale. Tries 19 scales. Errors count by
/// `weights`, or by x² when those are empty.
float search_symmetric(std::span<const float> group, std::span<const float> weights, int half,
                       std::span<std::uint8_t> codes);

/// The same by coordinate descent from the first guess: Q3_K's.
float search_symmetric_descent(std::span<const float> group, int half, std::span<std::uint8_t> codes);

struct ScaleAndMinimum {
  float scale = 0.0f;
  float minimum = 0.0f;  ///< ≥ 0, subtracted: value = code · scale − minimum
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
/// codes ∈ [0, max_code] with a least-squares scale and minimum under `weights`.
ScaleAndMinimum search_with_minimum(std::span<const float> group, std::span<const float> weights,
                                    const MinimumSearch& search, std::span<std::uint8_t> codes);

/// codes ∈ [0, top] for values ≥ 0 under `weights`; returns the scale. For the scales of groups themselves.
float search_positive(std::span<const float> values, std::span<const float> weights, int top,
                      std::span<std::uint8_t> codes);

}  // namespace stepdown::quant
