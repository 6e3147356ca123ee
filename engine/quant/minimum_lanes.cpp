#include "engine/quant/minimum_lanes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

using Lanes = GroupLanes::Lanes;
constexpr std::size_t kGroups = GroupLanes::kGroups;
constexpr float kRounder = 12582912.0f;  // as nearest_int rounds

/// Σ w·l, Σ w·l², Σ w·l·x of codes l under each lane's minimum and inverse.
struct Sums {
  Lanes l, ll, xl;
};

STEPDOWN_WIDEST void round_lanes(const GroupLanes& groups, const Lanes& minimum, const Lanes& inverse,
                                 int max_code, Lanes* codes, Sums& sums) {
  Lanes l = {}, ll = {}, xl = {};  // of the function's own, so that they stay in registers
  for (std::size_t i = 0; i < groups.size; ++i) {
    const float* x = groups.values[i].data();
    const float* weight = groups.weights[i].data();
    float* code = codes[i].data();
    for (std::size_t g = 0; g < kGroups; ++g) {
      const auto bits = std::bit_cast<std::int32_t>(inverse[g] * (x[g] - minimum[g]) + kRounder);
      const int nearest = (bits & 0x007fffff) - 0x00400000;
      const auto rounded = static_cast<float>(std::clamp(nearest, 0, max_code));
      const float weighted = weight[g] * rounded;
      code[g] = rounded;
      l[g] += weighted;
      ll[g] += weighted * rounded;
      xl[g] += weighted * x[g];
    }
  }
  sums = {l, ll, xl};
}

STEPDOWN_WIDEST void measure_lanes(const GroupLanes& groups, const Lanes* codes, const Lanes& scale,
                                   const Lanes& minimum, bool absolute, Lanes& error) {
  Lanes sum = {};
  for (std::size_t i = 0; i < groups.size; ++i) {
    const float* x = groups.values[i].data();
    const float* weight = groups.weights[i].data();
    const float* code = codes[i].data();
    Lanes difference;
    for (std::size_t g = 0; g < kGroups; ++g) difference[g] = scale[g] * code[g] + minimum[g] - x[g];
    if (absolute) {
      for (std::size_t g = 0; g < kGroups; ++g) sum[g] += weight[g] * std::fabs(difference[g]);
    } else {
      for (std::size_t g = 0; g < kGroups; ++g) sum[g] += weight[g] * (difference[g] * difference[g]);
    }
  }
  error = sum;
}

/// The best of each lane so far, and what its whole group sums to.
struct State {
  Lanes maximum, scale, minimum, error, sum_w, sum_x;
};

/// Takes the trial where it errs less.
STEPDOWN_WIDEST void take_better(GroupLanes& groups, const Lanes* codes, const Lanes& scale,
                                 const Lanes& minimum, const Lanes& error, State& best) {
  std::array<std::int32_t, kGroups> better;
  for (std::size_t g = 0; g < kGroups; ++g) {
    better[g] = error[g] < best.error[g] ? 1 : 0;
    best.error[g] = better[g] != 0 ? error[g] : best.error[g];
    best.scale[g] = better[g] != 0 ? scale[g] : best.scale[g];
    best.minimum[g] = better[g] != 0 ? minimum[g] : best.minimum[g];
  }
  if (std::ranges::find(better, 1) == better.end()) return;
  for (std::size_t i = 0; i < groups.size; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g)
      groups.codes[i][g] = better[g] != 0 ? codes[i][g] : groups.codes[i][g];
  }
}

/// Each lane's scale and minimum of least squares; where there are none, the scale is no number, so that its
/// error is less than none.
STEPDOWN_WIDEST void fit_lanes(const State& state, const Sums& sums, Lanes& scale, Lanes& minimum) {
  for (std::size_t g = 0; g < kGroups; ++g) {
    const float determinant = state.sum_w[g] * sums.ll[g] - sums.l[g] * sums.l[g];
    const float fitted = (state.sum_w[g] * sums.xl[g] - state.sum_x[g] * sums.l[g]) / determinant;
    const float offset = (sums.ll[g] * state.sum_x[g] - sums.l[g] * sums.xl[g]) / determinant;
    const float without = sums.xl[g] / sums.ll[g];
    const float found = offset > 0 ? without : fitted;
    scale[g] = determinant > 0 ? found : std::bit_cast<float>(0x7fc00000);
    minimum[g] = offset > 0 ? 0.0f : offset;
  }
}

State begin(const GroupLanes& groups) {
  State state = {};
  state.minimum = groups.values[0];
  state.maximum = groups.values[0];
  for (std::size_t i = 0; i < groups.size; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      const float x = groups.values[i][g];
      state.minimum[g] = std::min(state.minimum[g], x);
      state.maximum[g] = std::max(state.maximum[g], x);
      state.sum_w[g] += groups.weights[i][g];
      state.sum_x[g] += groups.weights[i][g] * x;
    }
  }
  for (float& minimum : state.minimum) minimum = std::min(minimum, 0.0f);
  return state;
}

}  // namespace

std::array<ScaleAndMinimum, kGroups> search_with_minimum(GroupLanes& groups, const MinimumSearch& search) {
  State best = begin(groups);
  const Lanes lowest = best.minimum;
  const auto top = static_cast<float>(search.max_code);
  Lanes inverse;
  Sums sums;
  for (std::size_t g = 0; g < kGroups; ++g) {
    inverse[g] = top / (best.maximum[g] - best.minimum[g]);
    best.scale[g] = 1 / inverse[g];
  }
  round_lanes(groups, best.minimum, inverse, search.max_code, groups.codes.data(), sums);
  measure_lanes(groups, groups.codes.data(), best.scale, best.minimum, search.absolute_error, best.error);
  std::array<Lanes, GroupLanes::kSize> trial;
  for (int step = 0; step <= search.steps; ++step) {
    const float raised = search.first + search.delta * static_cast<float>(step) + top;
    // ggml measures every trial from the minimum of the best so far.
    for (std::size_t g = 0; g < kGroups; ++g) inverse[g] = raised / (best.maximum[g] - best.minimum[g]);
    round_lanes(groups, best.minimum, inverse, search.max_code, trial.data(), sums);
    Lanes scale;
    Lanes minimum;
    Lanes error;
    fit_lanes(best, sums, scale, minimum);
    measure_lanes(groups, trial.data(), scale, minimum, search.absolute_error, error);
    take_better(groups, trial.data(), scale, minimum, error, best);
  }
  std::array<ScaleAndMinimum, kGroups> found;
  for (std::size_t g = 0; g < kGroups; ++g) {
    found[g] = {best.scale[g], -best.minimum[g]};
    if (best.maximum[g] > lowest[g]) continue;
    found[g] = {0.0f, -lowest[g]};  // all alike and not above zero
    for (std::size_t i = 0; i < groups.size; ++i) groups.codes[i][g] = 0.0f;
  }
  return found;
}

}  // namespace stepdown::quant
