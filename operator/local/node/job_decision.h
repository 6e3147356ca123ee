#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/kube/informer.h"
#include "operator/local/node/pod_facts.h"

namespace stepdown::local {

/// What to do about a Job now.
struct JobDecision {
  std::vector<std::string> create;  ///< pod names
  std::vector<std::string> remove;  ///< pod names
  bool remove_job = false;          ///< its ttlSecondsAfterFinished is over
  nlohmann::json status;            ///< the whole status; write it where it differs
  std::optional<std::chrono::milliseconds> look_again;
};

/// Pure. `pods`: those that the Job controls. Pods are named JOB-0, JOB-1, …: one number an attempt, so that
/// a stale cache can never start an attempt twice. Completions and parallelism above 1 are honoured; Indexed
/// mode is not.
JobDecision decide_job(const nlohmann::json& job, const std::vector<kube::ObjectPtr>& pods,
                       WallClock::time_point now);

}  // namespace stepdown::local
