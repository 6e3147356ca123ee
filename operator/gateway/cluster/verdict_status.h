#pragma once

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/route/traffic.h"

namespace stepdown::gateway {

/// {"conditions": [CanaryHealthy], "verdict": {…}} as the gateway applies it to status. Null while there is
/// no quantized revision to judge. The condition has no lastTransitionTime: whoever writes it knows the last
/// one.
nlohmann::json verdict_status(const Traffic& traffic, std::int64_t generation);

/// What must be written at once when it changes: the status without its counts.
nlohmann::json essence(const nlohmann::json& status);

/// The trip that status.verdict of a QuantizedModel tells of.
std::optional<Trip> trip_of_status(const nlohmann::json& model);

}  // namespace stepdown::gateway
