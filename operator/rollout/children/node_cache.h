#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"
#include "operator/rollout/children/common.h"

/// spec.storage.nodeCache: an init container copies what the engine serves to the node ("stepdown-engine
/// cache"), and a container beside the engine holds the copy while the pod lives.
namespace stepdown::rollout::children {

/// Where the engine finds its model then: a link to the copy, or to what is mounted where there is no room.
inline constexpr const char* kServedPath = "/models/served/model";

struct ToCache {
  std::string digest;
  std::string mounted;  ///< path of the model in the engine's container
};

/// What the engine reads from, besides the model as it is mounted.
void mount_node_cache(Mounts& mounts, const api::NodeCacheSpec& cache);
/// `pod_spec`: one that has the engine as its only container, with all of these mounts.
void add_node_cache(nlohmann::json& pod_spec, const api::NodeCacheSpec& cache, const Settings& settings,
                    const ToCache& model);

}  // namespace stepdown::rollout::children
