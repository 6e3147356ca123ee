#include "operator/gateway/verdict/grid.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {

double log_mixture(std::span<const double> logs) {
  if (logs.empty()) return 0;
  const double top = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double value : logs) sum += std::exp(value - top);
  return top + std::log(sum / static_cast<double>(logs.size()));
}

void add(LogVector& to, std::span<const double> from) {
  if (to.size() != from.size()) return;
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

}  // namespace stepdown::gateway
