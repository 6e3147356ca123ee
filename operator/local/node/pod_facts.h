#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local {

/// Pods that a controller makes in one pass, as those of a cluster do; the next pass makes more.
inline constexpr std::int64_t kMostNewPods = 500;

/// What controllers ask of pods and templates. Pure.
using WallClock = std::chrono::system_clock;

bool pod_ready(const nlohmann::json& pod);
/// Since when the pod is Ready; nullopt when it is not.
std::optional<WallClock::time_point> pod_ready_since(const nlohmann::json& pod);
/// Succeeded or Failed.
bool pod_over(const nlohmann::json& pod);

/// A pod from a template, owned by `owner`; `labels` are added to the template's.
nlohmann::json pod_from_template(const nlohmann::json& owner, const nlohmann::json& pod_template,
                                 const std::string& name, const nlohmann::json& labels,
                                 const std::string& node);

/// status.conditions with one condition set; its lastTransitionTime stays unless its status changes.
nlohmann::json with_condition(nlohmann::json conditions, const std::string& type, bool holds,
                              const std::string& reason, const std::string& message,
                              WallClock::time_point now);

/// Whether the selector's matchLabels all stand in `labels`; an empty selector matches nothing.
bool selects(const nlohmann::json& match_labels, const nlohmann::json& labels);

}  // namespace stepdown::local
