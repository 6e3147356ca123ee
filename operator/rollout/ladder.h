#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::rollout {

/// What happens when no candidate met every SLO.
struct LadderStep {
  std::optional<api::CandidateSpec> next;  ///< what is tried
  std::string end;                         ///< why nothing is, when nothing is: a sentence
};

/// The next step of AWQ > GPTQ > INT8 > QAT. Before them comes AutoRound at the bits of a candidate of under
/// four that missed an SLO, and after GPTQ AutoRound at four: learned rounding recovers what a cheaper
/// method of the same size lost. A step needs a base that it can start from, calibration prompts where it
/// learns from them, and an engine that loads what it writes; what was tried is not tried again.
/// `tried` and `rows` have the same length, all of them judged, none passed.
LadderStep next_step(const api::QuantizedModelSpec& spec, const api::ModelFacts& base,
                     const std::optional<api::EngineProfile>& profile,
                     const std::vector<api::CandidateSpec>& tried,
                     const std::vector<api::CandidateStatus>& rows);

/// The step that status calls so: "awq/4", "int8".
api::CandidateSpec step_named(const std::string& name);

}  // namespace stepdown::rollout
