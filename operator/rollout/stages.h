#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/rollout/observed.h"

/// From the source to measured candidates: which Jobs must exist now, and what those that ended say.
namespace stepdown::rollout {

/// What a Job that ended says, remembered in status under the Job's name, so that neither the Job nor its pod
/// need outlive it; or why there is nothing yet.
struct StageProblem {
  std::string reason;  ///< InspectFailed, BaselineFailed, ...
  std::string message;
};

struct Inspection {
  std::optional<api::ModelFacts> model;
  std::optional<StageProblem> problem;
  std::vector<nlohmann::json> create;
  std::vector<std::string> jobs;  ///< names that belong to the present spec
};
Inspection inspect(const Observed& observed, const Settings& settings, api::Time now);

struct Trial {
  bool quantized = false;  ///< every candidate was made or failed, and those that are needed are there
  bool evaluated = false;  ///< every artifact is judged
  std::optional<api::CandidateStatus> baseline;
  std::vector<api::CandidateStatus> candidates;
  std::optional<std::size_t> best;  ///< the candidate that wins; absent: FP16, or not decided yet
  std::optional<StageProblem> problem;
  std::vector<nlohmann::json> create;
  std::vector<std::string> jobs;
};
/// Quantizes all candidates at once; measures one after another, FP16 first, so that latencies are
/// comparable.
Trial try_candidates(const Observed& observed, const Settings& settings, const api::ModelFacts& base,
                     api::Time now);

}  // namespace stepdown::rollout
