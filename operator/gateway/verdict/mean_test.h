#pragma once

#include "operator/gateway/verdict/grid.h"

namespace stepdown::gateway {

/// Betting e-process against H0: E[x | past] ≤ bound, for observations x in [0, 1] (Waudby-Smith and Ramdas,
/// "Estimating means of bounded random variables by betting"). Wealth multiplies by 1 + λ(x − bound) for each
/// λ of a fixed grid in [0, 1/bound), which keeps it positive and makes wealth of several gateways a product.
/// The mixture ever reaches 1/α under H0 with probability at most α.
///
/// The ceiling feeds it 1 for "the candidate failed and FP16 passed on the same request" and 0 for any other
/// answer; the shadow test feeds it the paired disagreement with FP16.
class MeanTest {
 public:
  /// `bound` is held within [1e-6, 0.99].
  explicit MeanTest(double bound);

  LogVector start() const;
  /// `x` is held within [0, 1]; NaN is ignored.
  void observe(LogVector& evidence, double x) const { observe(evidence, x, bound_); }
  /// The same against a bound that what was seen before has raised.
  void observe(LogVector& evidence, double x, double bound) const;

 private:
  double bound_;
};

}  // namespace stepdown::gateway
