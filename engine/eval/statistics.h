#pragma once

#include <cstdint>
#include <span>

namespace stepdown::eval {

/// The q-quantile (0…1) by linear interpolation between order statistics (Hyndman–Fan type 7); 0 for no
/// values.
double quantile(std::span<const double> values, double q);

double mean(std::span<const double> values);

struct Interval {
  double low = 0;
  double high = 0;
};

/// 95 % percentile-bootstrap interval of the mean of paired differences; seeded, so the same input gives the
/// same answer. A single value gives a degenerate interval.
Interval paired_interval(std::span<const double> differences, std::uint64_t seed = 1);

}  // namespace stepdown::eval
