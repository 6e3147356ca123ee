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

Interval bootstrap_interval(std::size_t count, const Statistic& statistic, std::uint64_t seed) {
  if (count == 0) return {};
  constexpr int kResamples = 2000;
  std::mt19937_64 random(seed);
  std::vector<double> found(kResamples);
  std::vector<std::size_t> drawn(count);
  for (double& resampled : found) {
    // The modulo's bias is below 1e-15 for any realistic number of prompts, and it is portable, unlike
    // std::uniform_int_distribution.
    for (std::size_t& index : drawn) index = random() % count;
    resampled = statistic(drawn);
  }
  return {quantile(found, 0.025), quantile(found, 0.975)};
}

Interval paired_interval(std::span<const double> differences) {
  return bootstrap_interval(differences.size(), [&](std::span<const std::size_t> drawn) {
    double sum = 0;
    for (const std::size_t index : drawn) sum += differences[index];
    return sum / static_cast<double>(drawn.size());
  });
}

TokenSum total(std::span<const TokenSum> texts) {
  TokenSum all;
  for (const TokenSum& text : texts) all = {all.sum + text.sum, all.tokens + text.tokens};
  return all;
}

double token_mean(std::span<const TokenSum> texts, std::span<const std::size_t> drawn) {
  TokenSum all;
  for (const std::size_t index : drawn) {
    all.sum += texts[index].sum;
    all.tokens += texts[index].tokens;
  }
  return all.tokens == 0 ? 0 : all.sum / static_cast<double>(all.tokens);
}

Interval token_mean_interval(std::span<const TokenSum> texts) {
  return bootstrap_interval(texts.size(),
                            [&](std::span<const std::size_t> drawn) { return token_mean(texts, drawn); });
}

}  // namespace stepdown::eval
