#pragma once

#include <algorithm>

namespace stepdown::gateway {

/// Keeps FP16 from carrying a candidate's load in retries: each that passed there costs a token, each answer
/// that needed none gives a tenth back. An exhausted budget is itself a verdict on the candidate. A request
/// that fails on FP16 too costs none, or a client whose limit cuts every answer off could end any revision.
class RetryBudget {
 public:
  void succeeded() { tenths_ = std::min(kMost, tenths_ + 1); }
  /// False when no token was left: the candidate ends here.
  bool spend() {
    if (tenths_ < kPerRetry) return false;
    tenths_ -= kPerRetry;
    return true;
  }

 private:
  static constexpr int kPerRetry = 10;
  static constexpr int kMost = 100 * kPerRetry;

  int tenths_ = kMost;
};

}  // namespace stepdown::gateway
