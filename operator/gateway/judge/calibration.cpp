#include "operator/gateway/judge/calibration.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

constexpr std::uint64_t kLeastSamples = 20;
constexpr double kLongestMemory = 300;  // answers
constexpr double kDeviations = 8;
constexpr double kLeastDrop = 1.5;  // nats per token

}  // namespace

void Calibration::add(double mean_logprob) {
  if (!std::isfinite(mean_logprob)) return;
  ++samples_;
  const double weight = 1 / std::min(static_cast<double>(samples_), kLongestMemory);
  const double step = mean_logprob - mean_;
  mean_ += weight * step;
  variance_ = (1 - weight) * (variance_ + weight * step * step);
}

double Calibration::deviation() const {
  return std::sqrt(variance_);
}

bool Calibration::collapsed(double mean_logprob) const {
  if (samples_ < kLeastSamples) return false;
  return mean_logprob < mean_ - std::max(kDeviations * deviation(), kLeastDrop);
}

}  // namespace stepdown::gateway
