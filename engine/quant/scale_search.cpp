#include "engine/quant/scale_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

constexpr float kRounder =
    12582912.0f;  // 1.5·2²³: adding it leaves the rounded integer in the low mantissa bits
constexpr float kNothing = 1e-15f;  // groups smaller than this are all zero
constexpr std::size_t kMaxGroup = 32;
// Trials of a search that are computed side by side: one lane adds up in the group's order, as ggml does.
constexpr std::size_t kLanes = 32;
using Lanes = std::array<float, kLanes>;

/// The weight of largest magnitude, with its sign.
float extreme(std::span<const float> group) {
  float magnitude = 0.0f;
  float value = 0.0f;
  for (const float x : group) {
    if (std::fabs(x) > magnitude) {
      magnitude = std::fabs(x);
      value = x;
    }
  }
  return value;
}

int signed_code(float value, int half) {
  return std::clamp(nearest_int(value), -half, half - 1);
}

struct Fit {
  float xl = 0.0f;  ///< Σ w·x·l
  float ll = 0.0f;  ///< Σ w·l²
};

Fit fit_symmetric(std::span<const float> group, std::span<const float> weights, int half, float inverse) {
  Fit fit;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const float x = group[i];
    const auto code = static_cast<float>(signed_code(inverse * x, half));
    const float weight = weights.empty() ? x * x : weights[i];
    fit.xl += weight * x * code;
    fit.ll += weight * code * code;
  }
  return fit;
}

/// fit_symmetric for every lane's inverse.
STEPDOWN_WIDEST void fit_lanes(const float* group, const float* weights, std::size_t count, int half,
                               const Lanes& inverse, Lanes& xl, Lanes& ll) {
  xl.fill(0.0f);
  ll.fill(0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    const float x = group[i];
    const float weight = weights == nullptr ? x * x : weights[i];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto bits = std::bit_cast<std::int32_t>(inverse[lane] * x + kRounder);
      const int nearest = (bits & 0x007fffff) - 0x00400000;
      const auto code = static_cast<float>(std::clamp(nearest, -half, half - 1));
      xl[lane] += weight * x * code;
      ll[lane] += weight * code * code;
    }
  }
}

void write_codes(std::span<const float> group, int half, float inverse, std::span<std::uint8_t> codes) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    codes[i] = static_cast<std::uint8_t>(signed_code(inverse * group[i], half) + half);
  }
}

/// One pass over the codes, each moved to where it alone helps most; whether any moved.
bool descend(std::span<const float> group, int half, std::span<int> codes, Fit& fit) {
  bool moved = false;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const float x = group[i];
    const float weight = x * x;
    const auto old_code = static_cast<float>(codes[i]);
    Fit without = {fit.xl - weight * x * old_code, 0.0f};
    if (!(without.xl > 0)) continue;
    without.ll = fit.ll - weight * old_code * old_code;
    const int code = signed_code(x * without.ll / without.xl, half);
    if (code == codes[i]) continue;
    without.xl += weight * x * static_cast<float>(code);
    without.ll += weight * static_cast<float>(code) * static_cast<float>(code);
    if (without.ll > 0 && without.xl * without.xl * fit.ll > fit.xl * fit.xl * without.ll) {
      codes[i] = code;
      fit = without;
      moved = true;
    }
  }
  return moved;
}

}  // namespace

int nearest_int(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value + kRounder);
  return (bits & 0x007fffff) - 0x00400000;
}

float search_symmetric(std::span<const float> group, std::span<const float> weights, int half,
                       std::span<std::uint8_t> codes) {
  const float largest = extreme(group);
  if (std::fabs(largest) < kNothing) {
    std::ranges::fill(codes, std::uint8_t{0});
    return 0.0f;
  }
  const float inverse = static_cast<float>(-half) / largest;
  const Fit first = fit_symmetric(group, weights, half, inverse);
  write_codes(group, half, inverse, codes);
  float scale = first.ll != 0 ? first.xl / first.ll : 0.0f;
  float best = scale * first.xl;
  constexpr int kSteps = 9;  // to either side
  Lanes inverses = {}, xl, ll;
  for (int step = -kSteps; step <= kSteps; ++step) {
    inverses[static_cast<std::size_t>(step + kSteps)] =
        -(static_cast<float>(half) + 0.1f * static_cast<float>(step)) / largest;
  }
  fit_lanes(group.data(), weights.empty() ? nullptr : weights.data(), group.size(), half, inverses, xl, ll);
  float chosen = inverse;
  for (std::size_t lane = 0; lane <= 2 * kSteps; ++lane) {
    if (lane == kSteps) continue;
    if (ll[lane] > 0 && xl[lane] * xl[lane] > best * ll[lane]) {
      chosen = inverses[lane];
      scale = xl[lane] / ll[lane];
      best = scale * xl[lane];
    }
  }
  if (chosen != inverse) write_codes(group, half, chosen, codes);
  return scale;
}

float search_symmetric_descent(std::span<const float> group, int half, std::span<std::uint8_t> codes) {
  const float largest = extreme(group);
  if (std::fabs(largest) < kNothing) {
    std::ranges::fill(codes, std::uint8_t{0});
    return 0.0f;
  }
  const float inverse = static_cast<float>(-half) / largest;
  std::array<int, kMaxGroup> signed_codes;
  for (std::size_t i = 0; i < group.size(); ++i) signed_codes[i] = signed_code(inverse * group[i], half);
  Fit fit = fit_symmetric(group, {}, half, inverse);
  for (int pass = 0; pass < 5 && descend(group, half, signed_codes, fit); ++pass) {
  }
  for (std::size_t i = 0; i < group.size(); ++i) codes[i] = static_cast<std::uint8_t>(signed_codes[i] + half);
  return fit.ll > 0 ? fit.xl / fit.ll : 0.0f;
}

namespace {

struct Sums {
  float l = 0.0f, ll = 0.0f, xl = 0.0f;  ///< Σ w·l, Σ w·l², Σ w·l·x
};

Sums sums_of(std::span<const float> group, std::span<const float> weights, float minimum, float inverse,
             int max_code, std::span<std::uint8_t> codes) {
  Sums sums;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const int code = std::clamp(nearest_int(inverse * (group[i] - minimum)), 0, max_code);
    codes[i] = static_cast<std::uint8_t>(code);
    const auto l = static_cast<float>(code);
    const float weighted = weights[i] * l;
    sums.l += weighted;
    sums.ll += weighted * l;
    sums.xl += weighted * group[i];
  }
  return sums;
}

float error_of(std::span<const float> group, std::span<const float> weights, float scale, float minimum,
               bool absolute, std::span<const std::uint8_t> codes) {
  float error = 0.0f;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const float difference = scale * static_cast<float>(codes[i]) + minimum - group[i];
    error += weights[i] * (absolute ? std::fabs(difference) : difference * difference);
  }
  return error;
}

}  // namespace

ScaleAndMinimum search_with_minimum(std::span<const float> group, std::span<const float> weights,
                                    const MinimumSearch& search, std::span<std::uint8_t> codes) {
  float minimum = group[0];
  float maximum = group[0];
  float sum_w = weights[0];
  float sum_x = sum_w * group[0];
  for (std::size_t i = 1; i < group.size(); ++i) {
    minimum = std::min(minimum, group[i]);
    maximum = std::max(maximum, group[i]);
    sum_w += weights[i];
    sum_x += weights[i] * group[i];
  }
  minimum = std::min(minimum, 0.0f);
  if (maximum <= minimum) {
    std::ranges::fill(codes, std::uint8_t{0});
    return {0.0f, -minimum};
  }
  const auto top = static_cast<float>(search.max_code);
  float inverse = top / (maximum - minimum);
  ScaleAndMinimum best = {1 / inverse, minimum};
  sums_of(group, weights, minimum, inverse, search.max_code, codes);
  float best_error = error_of(group, weights, best.scale, best.minimum, search.absolute_error, codes);

  std::array<std::uint8_t, kMaxGroup> buffer;
  const auto trial = std::span(buffer).first(group.size());
  for (int step = 0; step <= search.steps; ++step) {
    // ggml measures every trial from the minimum of the best so far.
    inverse = (search.first + search.delta * static_cast<float>(step) + top) / (maximum - best.minimum);
    const Sums sums = sums_of(group, weights, best.minimum, inverse, search.max_code, trial);
    const float determinant = sum_w * sums.ll - sums.l * sums.l;
    if (!(determinant > 0)) continue;
    ScaleAndMinimum fit = {(sum_w * sums.xl - sum_x * sums.l) / determinant,
                           (sums.ll * sum_x - sums.l * sums.xl) / determinant};
    if (fit.minimum > 0) fit = {sums.xl / sums.ll, 0.0f};
    const float error = error_of(group, weights, fit.scale, fit.minimum, search.absolute_error, trial);
    if (error < best_error) {
      std::ranges::copy(trial, codes.begin());
      best_error = error;
      best = fit;
    }
  }
  return {best.scale, -best.minimum};
}

namespace {

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
