#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/rollout/stages.h"

/// Brings what lies elsewhere to the claim of spec.storage, before anything mounts it: a Job a source. What
/// the Jobs said is kept in status.sources. Pure.
namespace stepdown::rollout {

struct Fetching {
  std::vector<api::SourceStatus> sources;  ///< status.sources as it is from now on
  bool base_there = true;                  ///< what FP16 is made of is there, and status says so
  bool all_there = true;
  std::string message;  ///< what is waited for; empty: nothing
  std::optional<StageProblem> problem;
  std::vector<nlohmann::json> create;
  std::vector<std::string> jobs;
};
Fetching fetch_sources(const Observed& observed, const Settings& settings, api::Time now);

}  // namespace stepdown::rollout
