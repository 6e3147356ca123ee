#include "engine/quant/integer_grid.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/half.h"
#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

constexpr int kSteps = 40;               // of a fiftieth of the range
constexpr float kSmallest = 6.2e-5f;     // about binary16's smallest normal number
constexpr float kRounder = 12582912.0f;  // 1.5·2²³: adding and subtracting it rounds to an integer

float rounded_code(float weight, float scale, float zero, float top) {
  const float code = (std::clamp(weight / scale, -kRounder / 4, kRounder / 4) + kRounder) - kRounder + zero;
  return std::clamp(code, 0.0f, top);
}

STEPDOWN_WIDEST float error_of(const float* weights, std::size_t count, float scale, float zero, float top) {
  constexpr std::size_t kLanes = 16;  // sums kept apart, so that they fill a register
  std::array<float, kLanes> sums = {};
  const auto squared = [&](float w) {
    const float error = scale * (rounded_code(w, scale, zero, top) - zero) - w;
    return error * error;
  };
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += squared(weights[i + lane]);
  }
  float sum = 0.0f;
  for (; i < count; ++i) sum += squared(weights[i]);
  for (const float part : sums) sum += part;
  return sum;
}

float error_of(std::span<const float> weights, const IntegerGrid& grid) {
  return error_of(weights.data(), weights.size(), grid.scale, static_cast<float>(grid.zero),
                  static_cast<float>(grid.top));
}

}  // namespace

int IntegerGrid::code(float weight) const {
  return static_cast<int>(rounded_code(weight, scale, static_cast<float>(zero), static_cast<float>(top)));
}

IntegerGrid grid_of_range(float low, float high, const GridSearch& search) {
  IntegerGrid grid;
  grid.top = (1 << search.bits) - 1;
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  if (search.symmetric) {
    high = std::max(high, -low);
    low = -high;
  }
  const float step = std::clamp((high - low) / static_cast<float>(grid.top), kSmallest, 65504.0f);
  grid.scale = f16_to_f32(f32_to_f16(high > low ? step : 1.0f));
  grid.zero = search.symmetric ? (grid.top + 1) / 2
                               : std::clamp(static_cast<int>(std::nearbyint(-low / grid.scale)), 0, grid.top);
  return grid;
}

IntegerGrid find_grid(std::span<const float> weights, const GridSearch& search) {
  const auto [low, high] = std::ranges::minmax(weights);
  IntegerGrid best = grid_of_range(low, high, search);
  if (!search.search_clip) return best;
  float best_error = error_of(weights, best);
  for (int step = 1; step < kSteps && best_error > 0; ++step) {
    const float part = 1.0f - static_cast<float>(step) / 50.0f;
    const IntegerGrid grid = grid_of_range(part * low, part * high, search);
    if (const float error = error_of(weights, grid); error < best_error) {
      best_error = error;
      best = grid;
    }
  }
  return best;
}

}  // namespace stepdown::quant
