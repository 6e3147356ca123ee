#include "operator/gateway/verdict/arm_test.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

double share_of_errors(double w, double odds) {
  return w * odds / (w * odds + 1 - w);
}

}  // namespace

ArmTest::ArmTest(double ratio, std::span<const double> times_ratio) : ratio_(std::max(ratio, 1.0)) {
  for (const double times : times_ratio) odds_.push_back(ratio_ * times);
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
