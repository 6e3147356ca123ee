#include "operator/gateway/verdict/arm_test.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

// From "a third worse than allowed" to "the control never fails": a dead candidate is told by the last ones
// in three errors, a slightly worse one by the first.
constexpr double kTimesRatio[] = {4.0 / 3, 2, 4, 10, 30, 100, 1000};

double share_of_errors(double w, double odds) {
  return w * odds / (w * odds + 1 - w);
}

}  // namespace

ArmTest::ArmTest(double ratio) : ratio_(std::max(ratio, 1.0)) {
  for (const double times : kTimesRatio) odds_.push_back(ratio_ * times);
}

void ArmTest::observe(LogVector& evidence, bool from_candidate, double w) const {
  if (!(w > 0 && w < 1) || evidence.size() != odds_.size()) return;
  const double allowed = share_of_errors(w, ratio_);
  for (std::size_t i = 0; i < odds_.size(); ++i) {
    const double assumed = share_of_errors(w, odds_[i]);
    evidence[i] += from_candidate ? std::log(assumed / allowed) : std::log((1 - assumed) / (1 - allowed));
  }
}

}  // namespace stepdown::gateway
