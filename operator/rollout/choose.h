#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::rollout {

/// The first SLO that the metrics break, as a sentence; empty when they meet all. A metric that was not
/// measured breaks its SLO. maxDrop compares with `baseline`, FP16's metrics, and where the evaluation knows
/// the 95 % interval of the difference all of it must lie within: a test of non-inferiority.
std::string broken_slo(const std::map<std::string, api::Slo>& slo, const api::Metrics& metrics,
                       const api::Metrics& baseline);

/// How much worse than FP16 `value` is: positive is worse, whichever way the metric counts.
double drop(const std::string& metric, double value, double baseline);

/// Why a candidate that meets every SLO is not chosen, as a sentence.
std::string why_larger_lost(const api::CandidateStatus& loser, const api::CandidateStatus& winner);

/// The smallest artifact among the candidates in state Passed (or Chosen); ties go to the first.
std::optional<std::size_t> choose(const std::vector<api::CandidateStatus>& candidates);

}  // namespace stepdown::rollout
