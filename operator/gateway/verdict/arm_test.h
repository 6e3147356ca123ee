#pragma once

#include <span>
#include <vector>

#include "operator/gateway/verdict/grid.h"

namespace stepdown::gateway {

/// The e-process on each error's arm: did this error come from the candidate or from the concurrent random
/// FP16 control? Under H0, p_candidate ≤ ratio · p_control, an error falls on the candidate with probability
/// at most θ(ratio), θ(ρ) = wρ / (wρ + 1 − w), where w is the share of the candidate in both arms when the
/// request arrived. Against each ρ > ratio of a grid, the likelihood ratio multiplies by θ(ρ)/θ(ratio) for an
/// error of the candidate and by (1−θ(ρ))/(1−θ(ratio)) for one of the control. By Ville's inequality the
/// mixture ever reaches 1/α under H0 with probability at most α, whenever one looks: it conditions on an
/// error having happened, so that shared outages, changing load and changing weights cancel. Errors of the
/// candidate that FP16 makes on the same request too are left out, which only makes it slower: arms are
/// random by request, and one that fails everywhere and is repeated under its id is repeated on one arm.
/// Blind at w = 1, where there is no control.
class ArmTest {
 public:
  /// `ratio` ≥ 1: how many times the control's error rate a healthy candidate may show.
  /// `times_ratio`: the grid of ρ, as multiples of `ratio` above 1.
  ArmTest(double ratio, std::span<const double> times_ratio);

  LogVector start() const { return LogVector(odds_.size(), 0.0); }
  /// One error at candidate share `w`; outside (0, 1) it says nothing.
  void observe(LogVector& evidence, bool from_candidate, double w) const;

 private:
  double ratio_;
  std::vector<double> odds_;  // the grid of ρ
};

}  // namespace stepdown::gateway
