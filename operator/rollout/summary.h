#pragma once

#include "operator/rollout/status.h"

namespace stepdown::rollout {

/// The columns of kubectl get. `message` is left to the caller.
api::Summary summarize(const api::QuantizedModelStatus& status, const api::QuantizedModelSpec& spec,
                       const Findings& found);

std::vector<api::TrafficShare> traffic(const api::RolloutStatus& rollout, const std::string& base,
                                       const std::string& model);

}  // namespace stepdown::rollout
