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
  std::string unchecked;  ///< what a promotion waits for: the files are read again first
  std::optional<std::chrono::milliseconds> look_again;
  std::vector<nlohmann::json> create;
  std::vector<std::string> jobs;  ///< names that belong to the present spec
};
/// Reads the base; once it is known, reads it and the dataset again during each rollout, and as often as
/// spec.evaluation.recheck says. `all_there`: every remote source is fetched.
Inspection inspect(const Observed& observed, const Settings& settings, bool all_there, api::Time now);

/// The base that was read before, unless the spec names another source now.
std::optional<api::ModelFacts> known_base(const api::QuantizedModel& model);

/// The files of a revision that another environment made, before anything serves them.
Inspection verify(const Observed& observed, const Settings& settings, const api::Artifact& artifact,
                  api::Time now);
/// What was read of them before; nullopt for another artifact.
std::optional<api::ModelFacts> known_artifact(const api::QuantizedModel& model,
                                              const api::Artifact& artifact);

struct Trial {
  bool quantized = false;  ///< every candidate was made or failed, and those that are needed are there
  bool evaluated = false;  ///< every artifact is judged
  std::optional<api::CandidateStatus> baseline;
  std::vector<api::CandidateStatus> candidates;
  std::vector<api::CandidateSpec> specs;  ///< of each row of `candidates`: the spec's, then the ladder's
  std::string ladder_end;                 ///< why nothing more is tried, when nothing passed
  std::optional<std::size_t> best;        ///< the candidate that wins; absent: FP16, or not decided yet
  std::optional<StageProblem> problem;
  std::vector<nlohmann::json> create;
  std::vector<std::string> jobs;
  api::EvaluationStatus evaluation;  ///< what the figures hold for
  std::string dataset_digest;        ///< that a Job measured on, in this pass
};
/// Quantizes all candidates at once, and the ladder's steps one after another when none of them passes;
/// measures one after another, FP16 first, so that latencies are comparable.
Trial try_candidates(const Observed& observed, const Settings& settings, const api::ModelFacts& base,
                     api::Time now);

}  // namespace stepdown::rollout
