#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace stepdown::eval {

/// The q-quantile (0…1) by linear interpolation between order statistics (Hyndman–Fan type 7); 0 for no
/// values.
double quantile(std::span<const double> values, double q);

double mean(std::span<const double> values);

struct Interval {
  double low = 0;
  double high = 0;
};

/// A statistic of the units at these indices, each of which may stand there several times.
using Statistic = std::function<double(std::span<const std::size_t> drawn)>;

/// 95 % percentile-bootstrap interval (Efron 1979) of a statistic of `count` units; seeded, so the same input
/// gives the same answer. A single unit gives a degenerate interval.
Interval bootstrap_interval(std::size_t count, const Statistic& statistic, std::uint64_t seed = 1);

/// Of the mean of paired differences.
Interval paired_interval(std::span<const double> differences);

/// What one text or prompt adds to a mean over tokens. Tokens of one text are not drawn apart from each
/// other: they are alike.
struct TokenSum {
  double sum = 0;
  std::int64_t tokens = 0;
};

TokenSum total(std::span<const TokenSum> texts);
/// Σ sums / Σ tokens of the drawn texts.
double token_mean(std::span<const TokenSum> texts, std::span<const std::size_t> drawn);
/// Of a mean over tokens.
Interval token_mean_interval(std::span<const TokenSum> texts);

}  // namespace stepdown::eval
