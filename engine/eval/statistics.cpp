#include "engine/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace stepdown::eval {

double quantile(std::span<const double> values, double q) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval paired_interval(std::span<const double> differences, std::uint64_t seed) {
  if (differences.empty()) return {};
  constexpr int kResamples = 2000;
  std::mt19937_64 random(seed);
  std::vector<double> means(kResamples);
  for (double& resampled : means) {
    double sum = 0;
    // The modulo's bias is below 1e-15 for any realistic number of prompts, and it is portable, unlike
    // std::uniform_int_distribution.
    for (std::size_t i = 0; i < differences.size(); ++i) sum += differences[random() % differences.size()];
    resampled = sum / static_cast<double>(differences.size());
  }
  return {quantile(means, 0.025), quantile(means, 0.975)};
}

}  // namespace stepdown::eval
