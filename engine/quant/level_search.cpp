#include "engine/quant/level_search.h"

#include <cmath>

#include "engine/kernels/blocks.h"
#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

using kernels::kIq4Levels;
constexpr std::size_t kGroup = 32;
constexpr int kTrials = 7;                       // either side of the first guess
constexpr std::size_t kLanes = 2 * kTrials + 2;  // the guess that measures them, and the trials side by side
constexpr float kNothing = 1e-15f;
using Lanes = std::array<float, kLanes>;

/// What lies halfway between a level and the next, and how far they are apart: exact in floats.
constexpr std::size_t kSteps = kIq4Levels.size() - 1;
constexpr std::array<float, kSteps> middles() {
  std::array<float, kSteps> all = {};
  for (std::size_t i = 0; i < kSteps; ++i)
    all[i] = static_cast<float>(kIq4Levels[i] + kIq4Levels[i + 1]) / 2.0f;
  return all;
}
constexpr auto kMiddles = middles();
constexpr std::array<float, kSteps> steps() {
  std::array<float, kSteps> all = {};
  for (std::size_t i = 0; i < kSteps; ++i) all[i] = static_cast<float>(kIq4Levels[i + 1] - kIq4Levels[i]);
  return all;
}
constexpr auto kApart = steps();

/// Σ w·q·x and Σ w·q² under every lane's inverse; a lane adds up in the group's order, as ggml does.
STEPDOWN_WIDEST void fit_lanes(const float* group, const float* weights, const Lanes& inverse, Lanes& xq,
                               Lanes& qq) {
  xq.fill(0.0f);
  qq.fill(0.0f);
  for (std::size_t i = 0; i < kGroup; ++i) {
    const float x = group[i];
    Lanes level;
    level.fill(static_cast<float>(kIq4Levels[0]));
    for (std::size_t step = 0; step < kSteps; ++step) {
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        level[lane] += inverse[lane] * x >= kMiddles[step] ? kApart[step] : 0.0f;
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      xq[lane] += weights[i] * level[lane] * x;
      qq[lane] += weights[i] * level[lane] * level[lane];
    }
  }
}

STEPDOWN_WIDEST void count_middles(const float* group, float inverse, std::int32_t* below) {
  for (std::size_t i = 0; i < kGroup; ++i) below[i] = 0;
  for (std::size_t step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < kGroup; ++i) below[i] += inverse * group[i] >= kMiddles[step] ? 1 : 0;
  }
}

}  // namespace

float search_level_scale(std::span<const float, 32> group, std::span<const float, 32> weights) {
  float extreme = 0.0f;
  for (const float x : group) {
    if (std::fabs(x) > std::fabs(extreme)) extreme = x;
  }
  if (std::fabs(extreme) < kNothing) return 0.0f;
  const float first = -extreme / kIq4Levels[0];
  Lanes inverse = {1 / first};
  for (int trial = -kTrials; trial <= kTrials; ++trial)
    inverse[static_cast<std::size_t>(trial + kTrials + 1)] =
        static_cast<float>(trial + kIq4Levels[0]) / extreme;
  Lanes xq;
  Lanes qq;
  fit_lanes(group.data(), weights.data(), inverse, xq, qq);
  float scale = qq[0] > 0 ? xq[0] / qq[0] : 0.0f;
  float best = scale * xq[0];
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    if (qq[lane] > 0 && xq[lane] * xq[lane] > best * qq[lane]) {
      scale = xq[lane] / qq[lane];
      best = scale * xq[lane];
    }
  }
  return scale;
}

std::array<std::uint8_t, 32> nearest_levels(std::span<const float, 32> group, float inverse) {
  std::array<std::int32_t, kGroup> below;
  count_middles(group.data(), inverse, below.data());
  std::array<std::uint8_t, kGroup> codes;
  for (std::size_t i = 0; i < kGroup; ++i) codes[i] = static_cast<std::uint8_t>(below[i]);
  return codes;
}

}  // namespace stepdown::quant
