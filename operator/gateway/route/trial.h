#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "operator/gateway/judge/fault.h"
#include "operator/gateway/route/retry_budget.h"
#include "operator/gateway/route/seen.h"
#include "operator/gateway/route/trips.h"
#include "operator/gateway/verdict/slow_answers.h"
#include "operator/gateway/verdict/tests.h"

namespace stepdown::gateway {

/// One quantized revision under watch: what this gateway saw of it, what its peers saw, and the moment that
/// is enough.
class Trial {
 public:
  Trial(std::string digest, const Limits& limits);

  const std::string& digest() const { return digest_; }
  const Limits& limits() const { return tests_.limits(); }

  /// An answer of the revision or of the control, judged. `fp16_passed`: the FP16 retry of a failed one did.
  /// `session`: empty, or an id that counts one error at most. `w`: the revision's share against control when
  /// the request arrived. `at`: now. `ms`: how long it took.
  struct Answer {
    Fault fault = Fault::kNone;
    bool fp16_passed = false;
    double w = 0;
    std::string session;
    WallTime at{};
    std::optional<double> ms = std::nullopt;
  };
  void answered(const Answer& answer);
  /// Answers from now on count for the step of this epoch.
  void begin_step(std::uint64_t epoch);
  void control_answered(const Answer& answer);
  /// A pair that differs by more than the limit is a bad answer of the revision.
  void shadow_compared(double disagreement, WallTime at);

  /// Replaces what the peer `id` told before; evidence of other limits is left aside.
  void hear(const std::string& id, const Evidence& evidence);

  const Evidence& own() const { return own_; }
  Evidence combined() const;
  std::optional<Detector> decide() const;
  /// The record of its end.
  Trip trip(Detector detected_by, std::uint64_t epoch, WallTime now) const;

 private:
  void took(const Answer& answer, bool of_candidate);

  std::string digest_;
  Tests tests_;
  SlowAnswers slow_;
  Evidence own_;
  std::map<std::string, Evidence> peers_;
  RetryBudget budget_;
  bool exhausted_ = false;
  Seen failed_sessions_{10'000};
  Seen failed_control_sessions_{10'000};
  std::map<Fault, std::uint64_t> faults_;
  std::uint64_t wrong_pairs_ = 0;
  std::optional<WallTime> first_bad_at_;
};

}  // namespace stepdown::gateway
