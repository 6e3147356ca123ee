#pragma once

#include <string>

#include "operator/rollout/observed.h"

namespace stepdown::rollout {

enum class Progress {
  kMissing,
  kWaiting,  ///< its pod cannot start until a person helps
  kRunning,
  kDone,  ///< its summary is there
  kFailed,
};

/// ", again after: …" for a Job that runs because its last pod failed; else empty.
std::string setback(const Job& job, const Observed& observed);

/// How far a Job came, and what there is to say of it.
struct JobView {
  Progress progress = Progress::kMissing;
  std::string message;
};
JobView view(const Observed& observed, const std::string& name, api::Time now);

/// It succeeded, and its pod was taken away before anybody read what it said: the Job is removed and made
/// again, if that is still wanted. A Job that merely says nothing has failed.
bool is_unread(const Job& job, api::Time now);

}  // namespace stepdown::rollout
