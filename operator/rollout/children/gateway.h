#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"
#include "operator/rollout/observed.h"

namespace stepdown::rollout::children {

/// ServiceAccount, Role, RoleBinding, Deployment, the Service that clients use, and a PodDisruptionBudget.
std::vector<nlohmann::json> gateway(const api::QuantizedModel& model, const Settings& settings);

}  // namespace stepdown::rollout::children
