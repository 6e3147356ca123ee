#pragma once

#include <optional>
#include <string_view>

#include "operator/gateway/verdict/arm_test.h"
#include "operator/gateway/verdict/evidence.h"
#include "operator/gateway/verdict/mean_test.h"

namespace stepdown::gateway {

/// spec.rollout.rollback and .shadow.
struct Limits {
  double alpha = 0.01;             ///< probability of ever rolling back a healthy candidate
  double ratio = 1.5;              ///< times the control's error rate that a healthy candidate may show
  double max_error_rate = 0.02;    ///< of "failed here, passed on FP16"
  double latency_p99_ratio = 2;    ///< times the control's p99 latency that a healthy candidate may show
  double max_disagreement = 0.20;  ///< mean paired disagreement with FP16
  bool operator==(const Limits&) const = default;
};

enum class Detector { kEProcess, kCeiling, kShadow, kLatency, kRetryBudget, kUnreachable };
/// As in status.verdict.detectedBy.
std::string_view name(Detector detector);
std::optional<Detector> detector_named(std::string_view name);

/// The tests of one revision with their limits: each turns an observation into evidence; `decide` looks at
/// all of it. Stateless, so evidence can be added, sent and replayed.
class Tests {
 public:
  explicit Tests(const Limits& limits);

  const Limits& limits() const { return limits_; }
  Evidence start() const;

  struct Answer {
    bool failed = false;
    bool fp16_passed =
        false;  ///< the FP16 retry of the same request passed: otherwise a failure is no evidence
  };
  /// A judged answer of the candidate that arrived while it had share `w` of candidate + control.
  void candidate_answered(Evidence& evidence, Answer answer, double w) const;
  void control_answered(Evidence& evidence, bool failed, double w) const;
  /// `disagreement` in [0, 1] of one candidate answer with FP16's for the same request.
  void shadow_compared(Evidence& evidence, double disagreement) const;
  /// A slow answer that SlowAnswers drew, of the candidate or the control.
  void slow_answer(Evidence& evidence, bool of_candidate, double w) const;

  /// The test that has seen enough, if one has. The error tests take α/2 each; the shadow and the latency
  /// test have an α of their own.
  std::optional<Detector> decide(const Evidence& evidence) const;

 private:
  /// Where answers fail by chance, as sampled ones that a client's max_tokens cuts off, the second try passes
  /// by chance too: what FP16 fails on its own requests, with room for what is not known of it yet, is no
  /// fault.
  double ceiling_bound(const Evidence& evidence) const;

  Limits limits_;
  ArmTest arm_;
  MeanTest ceiling_;
  MeanTest shadow_;
  ArmTest latency_;
};

}  // namespace stepdown::gateway
