#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"
#include "operator/rollout/observed.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout::children {

/// Fetches to its place on the claim of spec.storage.
nlohmann::json fetch_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                         const sources::Remote& remote);

nlohmann::json inspect_job(const api::QuantizedModel& model, const Settings& settings,
                           const std::string& name);

/// Reads the base once more, and the evaluation data.
nlohmann::json recheck_job(const api::QuantizedModel& model, const Settings& settings,
                           const std::string& name);

/// Reads the files of an artifact that another environment made: their digest alone.
nlohmann::json verify_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                          const api::Artifact& artifact);

/// How the candidate is made: the arguments of `stepdown-engine quantize` that are no paths. The record keeps
/// them, so that it can be made again.
std::vector<std::string> recipe(const api::QuantizedModel& model, const api::CandidateSpec& candidate);

nlohmann::json quantize_job(const api::QuantizedModel& model, const Settings& settings,
                            const std::string& name, const api::ModelFacts& base,
                            const api::CandidateSpec& candidate);

struct Measured {
  std::string uri;       ///< of the artifact that is measured; empty: the base model
  std::string kv_type;   ///< as spec.kvCache.type names it
  std::string baseline;  ///< evaluate Job whose report it is compared with; empty: none
  std::int64_t bytes = 0;
};
nlohmann::json evaluate_job(const api::QuantizedModel& model, const Settings& settings,
                            const std::string& name, const api::ModelFacts& base, const Measured& measured);

/// Removes artifacts and reports, all of one claim.
nlohmann::json collect_job(const api::QuantizedModel& model, const Settings& settings,
                           const std::string& name, const std::vector<std::string>& uris);

/// Where the evaluate Job of that name leaves its report, seen from outside a pod.
std::string report_uri(const api::QuantizedModel& model, const std::string& evaluate_job);

}  // namespace stepdown::rollout::children
