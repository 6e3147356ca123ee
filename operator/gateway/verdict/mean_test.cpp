#include "operator/gateway/verdict/mean_test.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

// Shares of the largest allowed bet: small ones find a slight excess, large ones a dead candidate in a few
// answers.
constexpr double kShares[] = {0.02, 0.05, 0.1, 0.2, 0.4, 0.7};

double within(double bound) {
  return std::clamp(bound, 1e-6, 0.99);
}

}  // namespace

MeanTest::MeanTest(double bound) : bound_(within(bound)) {}

LogVector MeanTest::start() const {
  return LogVector(std::size(kShares), 0.0);
}

void MeanTest::observe(LogVector& evidence, double x, double bound) const {
  if (std::isnan(x) || evidence.size() != std::size(kShares)) return;
  bound = within(bound);
  const double excess = std::clamp(x, 0.0, 1.0) - bound;
  for (std::size_t i = 0; i < evidence.size(); ++i) evidence[i] += std::log1p(kShares[i] / bound * excess);
}

}  // namespace stepdown::gateway
