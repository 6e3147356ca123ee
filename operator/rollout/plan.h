#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/rollout/observed.h"

namespace stepdown::rollout {

inline constexpr const char* kFinalizer = "stepdown.dev/cleanup";

/// Something that happened in this plan, for `kubectl describe`.
struct Event {
  bool warning = false;
  std::string action;
  std::string reason;
  std::string note;
};

/// What must be done so that the cluster follows the spec. Carried out in this order: finalizer, apply,
/// status, remove. Each write may be the last before a crash: the next plan goes on from there.
struct Plan {
  std::optional<std::vector<std::string>> finalizers;  ///< set when they must change
  std::vector<nlohmann::json> apply;                   ///< children, whole, each with its applied-hash
  std::vector<nlohmann::json> create;                  ///< children that never change: Jobs, QuantRevisions
  api::QuantizedModelStatus status;                    ///< whole; verdict and CanaryHealthy as they were
  std::vector<Child> remove;
  std::vector<Event> events;  ///< once the status is written
  std::optional<std::chrono::milliseconds> look_again;
};

/// Pure: the same observation and time give the same plan.
Plan make_plan(const Observed& observed, const Settings& settings, api::Time now);

}  // namespace stepdown::rollout
