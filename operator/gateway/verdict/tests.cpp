#include "operator/gateway/verdict/tests.h"

#include <algorithm>
#include <cmath>

namespace stepdown::gateway {
namespace {

struct Name {
  Detector detector;
  std::string_view text;
};
constexpr Name kNames[] = {{Detector::kEProcess, "eProcess"},       {Detector::kCeiling, "ceiling"},
                           {Detector::kShadow, "shadow"},           {Detector::kLatency, "latency"},
                           {Detector::kRetryBudget, "retryBudget"}, {Detector::kUnreachable, "unreachable"}};

// From "a third worse than allowed" to "the control never fails": a dead candidate is told by the last ones
// in three errors, a slightly worse one by the first.
constexpr double kErrorGrid[] = {4.0 / 3, 2, 4, 10, 30, 100, 1000};
// Slow answers are a weaker sign: no less than five slices of time with them trip, at any weight.
constexpr double kSlowGrid[] = {4.0 / 3, 2, 4};
constexpr double kSlowShareRatio = 1.5;

}  // namespace

std::string_view name(Detector detector) {
  for (const Name& entry : kNames) {
    if (entry.detector == detector) return entry.text;
  }
  return "unknown";
}

std::optional<Detector> detector_named(std::string_view text) {
  for (const Name& entry : kNames) {
    if (entry.text == text) return entry.detector;
  }
  return std::nullopt;
}

Tests::Tests(const Limits& limits)
    : limits_(limits),
      arm_(limits.ratio, kErrorGrid),
      ceiling_(limits.max_error_rate),
      shadow_(limits.max_disagreement),
      latency_(kSlowShareRatio, kSlowGrid) {
  limits_.alpha = std::clamp(limits.alpha, 1e-9, 0.5);
}

Evidence Tests::start() const {
  Evidence evidence;
  evidence.arm = arm_.start();
  evidence.ceiling = ceiling_.start();
  evidence.shadow = shadow_.start();
  evidence.latency = latency_.start();
  return evidence;
}

double Tests::ceiling_bound(const Evidence& evidence) const {
  if (evidence.control_answers == 0) return limits_.max_error_rate;
  const auto errors = static_cast<double>(evidence.control_errors);
  const double rate = (errors + std::sqrt(errors) + 1) / (static_cast<double>(evidence.control_answers) + 10);
  return std::max(limits_.max_error_rate, limits_.ratio * rate);
}

void Tests::candidate_answered(Evidence& evidence, Answer answer, double w) const {
  ++evidence.candidate_answers;
  ++evidence.step_answers;
  const bool only_here = answer.failed && answer.fp16_passed;
  ceiling_.observe(evidence.ceiling, only_here ? 1 : 0, ceiling_bound(evidence));
  if (!answer.failed) return;
  ++evidence.candidate_errors;
  if (!only_here) return;  // a fault of both: a client that repeats it under one id repeats it on one arm
  ++evidence.failed_where_fp16_passed;
  arm_.observe(evidence.arm, true, w);
}

void Tests::control_answered(Evidence& evidence, bool failed, double w) const {
  ++evidence.control_answers;
  if (!failed) return;
  ++evidence.control_errors;
  arm_.observe(evidence.arm, false, w);
}

void Tests::shadow_compared(Evidence& evidence, double disagreement) const {
  ++evidence.shadow_pairs;
  evidence.disagreement += disagreement;
  shadow_.observe(evidence.shadow, disagreement);
}

void Tests::slow_answer(Evidence& evidence, bool of_candidate, double w) const {
  ++(of_candidate ? evidence.slow_candidate : evidence.slow_control);
  latency_.observe(evidence.latency, of_candidate, w);
}

std::optional<Detector> Tests::decide(const Evidence& evidence) const {
  const double errors_need = std::log(2 / limits_.alpha);
  if (log_mixture(evidence.arm) >= errors_need) return Detector::kEProcess;
  if (log_mixture(evidence.ceiling) >= errors_need) return Detector::kCeiling;
  const double others_need = std::log(1 / limits_.alpha);
  if (log_mixture(evidence.shadow) >= others_need) return Detector::kShadow;
  if (log_mixture(evidence.latency) >= others_need) return Detector::kLatency;
  return std::nullopt;
}

}  // namespace stepdown::gateway
