#include "operator/gateway/verdict/mean_test.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

// Shares of the largest allowed bet: small ones find a slight excess, large ones a dead candidate in a few
// answers.
constexpr double kShares[] = {0.02, 0.05, 0.1, 0.2, 0.4, 0.7};

}  // namespace

MeanTest::MeanTest(double bound) : bound_(std::clamp(bound, 1e-6, 0.99)) {
  for (const double share : kShares) bets_.push_back(share / bound_);
}

void MeanTest::observe(LogVector& evidence, double x) const {
  if (std::isnan(x) || evidence.size() != bets_.size()) return;
  const double excess = std::clamp(x, 0.0, 1.0) - bound_;
  for (std::size_t i = 0; i < bets_.size(); ++i) evidence[i] += std::log1p(bets_[i] * excess);
}

}  // namespace stepdown::gateway
