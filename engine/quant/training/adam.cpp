#include "engine/quant/training/adam.h"

#include <cmath>

namespace stepdown::quant {
namespace {

constexpr float kMeanDecay = 0.9f;
constexpr float kSquareDecay = 0.99f;
constexpr float kEpsilon = 1e-8f;

}  // namespace

void Adam::step(kernels::ThreadPool& pool, int step, float rate, const LayerWeights& gradient,
                LayerWeights& weights) {
  const float mean_factor = 1.0f / (1.0f - std::pow(kMeanDecay, static_cast<float>(step)));
  const float square_factor = 1.0f / (1.0f - std::pow(kSquareDecay, static_cast<float>(step)));
  for (std::size_t layer = 0; layer < weights.size(); ++layer) {
    for (std::size_t i = 0; i < weights[layer].size(); ++i) {
      const Matrix& slope = gradient[layer][i];
      pool.each(slope.rows, [&](std::int64_t row, int /*worker*/) {
        const float* by = slope.row(row);
        float* mean = mean_[layer][i].row(row);
        float* square = square_[layer][i].row(row);
        float* weight = weights[layer][i].row(row);
        for (std::int64_t k = 0; k < slope.columns; ++k) {
          mean[k] = kMeanDecay * mean[k] + (1 - kMeanDecay) * by[k];
          square[k] = kSquareDecay * square[k] + (1 - kSquareDecay) * by[k] * by[k];
          weight[k] -= rate * mean[k] * mean_factor / (std::sqrt(square[k] * square_factor) + kEpsilon);
        }
      });
    }
  }
}

}  // namespace stepdown::quant
