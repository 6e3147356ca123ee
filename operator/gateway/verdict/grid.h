#pragma once

#include <span>
#include <vector>

namespace stepdown::gateway {

/// Log of a test's likelihood ratio (or betting wealth) at each point of its grid of alternatives. Vectors of
/// the same test kept by different gateways watch disjoint requests, so they add.
using LogVector = std::vector<double>;

/// Log of the evenly weighted mixture over the grid: the log of the e-value. 0 for an empty grid (no
/// evidence).
double log_mixture(std::span<const double> logs);

/// to += from, point by point. Does nothing when the lengths differ: those belong to another test.
void add(LogVector& to, std::span<const double> from);

}  // namespace stepdown::gateway
