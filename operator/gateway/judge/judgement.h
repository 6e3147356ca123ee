#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "operator/gateway/judge/calibration.h"
#include "operator/gateway/judge/expectation.h"
#include "operator/gateway/judge/fault.h"

namespace stepdown::gateway {

/// What came of one answer.
struct Judgement {
  Fault fault = Fault::kNone;
  std::string detail;  ///< for the log: where and how
  int status = 200;
  std::string text;                                                ///< of the first choice
  double mean_logprob = std::numeric_limits<double>::quiet_NaN();  ///< NaN when the engine gave none

  bool passed() const { return fault == Fault::kNone && status < 300; }
  /// A 4xx: the client's own mistake where FP16 says so too; or 429. By itself nothing to learn about the
  /// revision.
  bool undecided() const { return fault == Fault::kNone && status >= 300; }
  /// Mean probability a token; 1 when the engine gave none.
  double confidence() const { return std::isnan(mean_logprob) ? 1 : std::exp(mean_logprob); }
};

/// Judges a whole, non-streamed answer.
Judgement judge_answer(int status, std::string_view body, const Expectation& expected,
                       const Calibration& control);

/// Whether a message or delta holds reasoning or a refusal, which engines tell apart from its content.
bool says_more(const nlohmann::json& message);
/// The fault that an OpenAI error body ({"error": {"code": …}}) tells of.
Fault fault_of_error(const nlohmann::json& body);

}  // namespace stepdown::gateway
