#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/kube/informer.h"
#include "operator/local/node/pod_facts.h"

namespace stepdown::local {

struct DeploymentDecision {
  std::string template_hash;
  std::vector<std::string> create;  ///< pod names
  std::vector<std::string> remove;  ///< pod names
  nlohmann::json status;            ///< the whole status; write it where it differs
  std::optional<std::chrono::milliseconds> look_again;
};

/// The label pod-template-hash of pods that `pod_template` makes.
std::string template_hash(const nlohmann::json& pod_template);

/// Pure. `pods`: those that the Deployment controls; they are owned by it directly, without a ReplicaSet
/// between. Rolling updates keep replicas − maxUnavailable pods available throughout and never run more than
/// replicas + maxSurge.
DeploymentDecision decide_deployment(const nlohmann::json& deployment,
                                     const std::vector<kube::ObjectPtr>& pods, WallClock::time_point now);

}  // namespace stepdown::local
