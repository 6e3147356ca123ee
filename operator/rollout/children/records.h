#pragma once

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"

namespace stepdown::rollout::children {

/// The claim for artifacts and reports, sized by the model where the spec gives no size. Made once, never
/// resized.
nlohmann::json claim(const api::QuantizedModel& model, const api::ModelFacts& base, std::size_t candidates);

/// What a record says beside the candidate's own row.
struct Record {
  std::string name;
  std::string identity;  ///< of `inputs`
  api::EvaluationInputs inputs;
  std::string engine_version;
};

/// The pinned record of a candidate that was chosen.
nlohmann::json revision(const api::QuantizedModel& model, const api::ModelFacts& base,
                        const api::CandidateSpec& candidate, const api::CandidateStatus& result,
                        const Record& record);

}  // namespace stepdown::rollout::children
