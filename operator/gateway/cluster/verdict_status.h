#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/route/traffic.h"

namespace stepdown::gateway {

/// {"conditions": [CanaryHealthy], "verdict": {…}} as the gateway applies it to status. Null while there is
/// no quantized revision to judge. The condition has no lastTransitionTime: whoever writes it knows the last
/// one.
nlohmann::json verdict_status(const Traffic& traffic, std::int64_t generation, WallTime now);

/// What must be written at once when it changes: the status without its counts.
nlohmann::json essence(const nlohmann::json& status);

/// Gives each condition its lastTransitionTime: that of the same condition in `before` while the status is
/// the same, else `now`. The object remembers it, so that neither a restart nor a second gateway begins it
/// anew.
void keep_transition_times(nlohmann::json& conditions, const nlohmann::json& before, const std::string& now);

/// The trip that status.verdict of a QuantizedModel tells of.
std::optional<Trip> trip_of_status(const nlohmann::json& model);

}  // namespace stepdown::gateway
