#pragma once

#include <algorithm>

namespace stepdown::gateway {

/// Keeps retries on FP16 from becoming the outage: each costs a token, each answer that needed none gives a
/// tenth back. An exhausted budget is itself a verdict on the candidate.
class RetryBudget {
 public:
  void succeeded() { tenths_ = std::min(kMost, tenths_ + 1); }
  /// False when no token was left; the answer in hand is retried all the same, the candidate just ends here.
  bool spend() {
    if (tenths_ < kPerRetry) return false;
    tenths_ -= kPerRetry;
    return true;
  }
  double tokens() const { return tenths_ / 10.0; }

 private:
  static constexpr int kPerRetry = 10;
  static constexpr int kMost = 100 * kPerRetry;

  int tenths_ = kMost;
};

}  // namespace stepdown::gateway
