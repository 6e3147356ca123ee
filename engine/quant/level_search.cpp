#include "engine/quant/level_search.h"

#include <cmath>

#include "engine/kernels/blocks.h"
#include "engine/quant/lanes/searches.h"

namespace stepdown::quant {
namespace {

using kernels::kIq4Levels;
constexpr int kTrials = 7;  // either side of the first guess
constexpr float kNothing = 1e-15f;
// The guess that measures them, and the trials side by side.
static_assert(2 * kTrials + 2 == GroupLanes::kGroups);

}  // namespace

float search_level_scale(std::span<const float, 32> group, std::span<const float, 32> weights) {
  float extreme = 0.0f;
  for (const float x : group) {
    if (std::fabs(x) > std::fabs(extreme)) extreme = x;
  }
  if (std::fabs(extreme) < kNothing) return 0.0f;
  const float first = -extreme / kIq4Levels[0];
  LevelFits fits;
  fits.inverse[0] = 1 / first;
  for (int trial = -kTrials; trial <= kTrials; ++trial)
    fits.inverse[static_cast<std::size_t>(trial + kTrials + 1)] =
        static_cast<float>(trial + kIq4Levels[0]) / extreme;
  searches().fit_levels(group, weights, fits);
  const auto& [inverse, xq, qq] = fits;
  float scale = qq[0] > 0 ? xq[0] / qq[0] : 0.0f;
  float best = scale * xq[0];
  for (std::size_t lane = 1; lane < GroupLanes::kGroups; ++lane) {
    if (qq[lane] > 0 && xq[lane] * xq[lane] > best * qq[lane]) {
      scale = xq[lane] / qq[lane];
      best = scale * xq[lane];
    }
  }
  return scale;
}

}  // namespace stepdown::quant
