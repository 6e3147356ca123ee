#pragma once

#include <cstdint>

namespace stepdown::gateway {

/// What mean log-probabilities FP16's answers show for this traffic: exponentially weighted mean and variance
/// over the last few hundred answers of the control arm, shadows included.
class Calibration {
 public:
  void add(double mean_logprob);
  /// Under the control's mean by eight deviations and at least 1.5 nats. False while under 20 answers were
  /// seen.
  bool collapsed(double mean_logprob) const;

  std::uint64_t samples() const { return samples_; }
  double mean() const { return mean_; }
  double deviation() const;

 private:
  std::uint64_t samples_ = 0;
  double mean_ = 0;
  double variance_ = 0;
};

}  // namespace stepdown::gateway
