#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/rollout/observed.h"

/// Whether figures that were measured still hold. Pure.
namespace stepdown::rollout {

/// The tag of an image, or its digest where it has no tag.
std::string image_version(const std::string& image);

/// The version of what serves: of the bundled engine's image, or of the profile.
std::string engine_version(const Observed& observed, const Settings& settings);

/// Whether an artifact was made from other files than those that lie at its adapters' places now.
bool has_other_adapters(const api::CandidateStatus& artifact, const std::string& digest_now);

/// What would be measured now.
api::EvaluationInputs evaluation_inputs(const Observed& observed, const Settings& settings,
                                        const api::ModelFacts& base);

/// "dataset", "engine version", …: what differs. What either side does not know is no change: a pool of nodes
/// that is scaled to nothing tells no generation.
std::vector<std::string> changed_parts(const api::EvaluationInputs& then, const api::EvaluationInputs& now);

/// "sha256:…" over all parts.
std::string identity(const api::EvaluationInputs& inputs);

/// status.evaluation as it is from now on: another round, where something changed that was measured with.
api::EvaluationStatus evaluation_now(const std::optional<api::EvaluationStatus>& before,
                                     const api::EvaluationInputs& now);

/// "evaluation stale: dataset, engine version changed"; empty while it is fresh.
std::string stale_message(const std::optional<api::EvaluationStatus>& evaluation);

}  // namespace stepdown::rollout
