#pragma once

#include <cstdint>
#include <span>

namespace stepdown::quant {

/// Searches for the scale (and minimum) with which a group of weights is best written as small integers: the
/// reference algorithms of ggml's k-quants (ggml-quants.c), in the same order of float operations, so that
/// files agree byte by byte with those of llama-quantize. Groups hold 16 or 32 weights.

/// Round half to even, as ggml does for |value| < 2²²; any other float gives some int.
int nearest_int(float value);

/// codes ∈ [0, top] for values ≥ 0 under `weights`; returns the scale. For the scales of groups themselves.
float search_positive(std::span<const float> values, std::span<const float> weights, int top,
                      std::span<std::uint8_t> codes);

}  // namespace stepdown::quant
