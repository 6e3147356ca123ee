#pragma once

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"

namespace stepdown::rollout::children {

/// The claim for artifacts and reports, sized by the model where the spec gives no size. Made once, never
/// resized.
nlohmann::json claim(const api::QuantizedModel& model, const api::ModelFacts& base, std::size_t candidates);

/// The pinned record of a candidate that was chosen.
nlohmann::json revision(const api::QuantizedModel& model, const api::ModelFacts& base,
                        const api::CandidateSpec& candidate, const api::CandidateStatus& result);

}  // namespace stepdown::rollout::children
