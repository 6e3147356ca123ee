#include "engine/quant/scale_search.h"

#include <algorithm>
#include <bit>

namespace stepdown::quant {

int nearest_int(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value + 12582912.0f);
  return (bits & 0x007fffff) - 0x00400000;
}

namespace {

constexpr float kNothing = 1e-15f;  // groups smaller than this are all zero

struct Fit {
  float xl = 0.0f;  ///< Σ w·x·l
  float ll = 0.0f;  ///< Σ w·l²
};

/// Σ w·(x − scale·code)², codes rounded under `inverse`.
float positive_error(std::span<const float> values, std::span<const float> weights, int top, float inverse) {
  const float scale = 1 / inverse;
  float error = 0.0f;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int code = std::min(top, nearest_int(inverse * values[i]));
    const float difference = values[i] - scale * static_cast<float>(code);
    error += weights[i] * difference * difference;
  }
  return error;
}

/// One pass over the codes, each moved to where it alone helps most; whether any moved.
bool descend_positive(std::span<const float> values, std::span<const float> weights, int top,
                      std::span<std::uint8_t> codes, Fit& fit) {
  bool moved = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float old_code = codes[i];
    Fit without = {fit.xl - weights[i] * values[i] * old_code, fit.ll - weights[i] * old_code * old_code};
    if (!(without.xl > 0 && without.ll > 0)) continue;
    const int code = std::min(top, nearest_int(values[i] * without.ll / without.xl));
    if (code == codes[i]) continue;
    without.xl += weights[i] * values[i] * static_cast<float>(code);
    without.ll += weights[i] * static_cast<float>(code) * static_cast<float>(code);
    if (without.xl * without.xl * fit.ll > fit.xl * fit.xl * without.ll) {
      codes[i] = static_cast<std::uint8_t>(code);
      fit = without;
      moved = true;
    }
  }
  return moved;
}

}  // namespace

float search_positive(std::span<const float> values, std::span<const float> weights, int top,
                      std::span<std::uint8_t> codes) {
  const float largest = std::max(0.0f, *std::ranges::max_element(values));
  if (largest < kNothing) {
    std::ranges::fill(codes, std::uint8_t{0});
    return 0.0f;
  }
  float inverse = static_cast<float>(top) / largest;
  float best = positive_error(values, weights, top, inverse);
  for (int step = -4; step <= 4; ++step) {
    const float trial = (0.1f * static_cast<float>(step) + static_cast<float>(top)) / largest;
    const float error = positive_error(values, weights, top, trial);
    if (step != 0 && error < best) {
      best = error;
      inverse = trial;
    }
  }
  Fit fit;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int code = std::min(top, nearest_int(inverse * values[i]));
    codes[i] = static_cast<std::uint8_t>(code);
    fit.xl += weights[i] * values[i] * static_cast<float>(code);
    fit.ll += weights[i] * static_cast<float>(code) * static_cast<float>(code);
  }
  for (int pass = 0; pass < 5 && descend_positive(values, weights, top, codes, fit); ++pass) {
  }
  return fit.ll > 0 ? fit.xl / fit.ll : 0.0f;
}

}  // namespace stepdown::quant
