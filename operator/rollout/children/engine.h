#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"
#include "operator/rollout/observed.h"

namespace stepdown::rollout::children {

/// One digest to serve.
struct Engine {
  std::string name;  ///< of Deployment and Service
  std::string digest;
  std::string source;  ///< file:/// or pvc://
  std::int64_t bytes = 0;
  std::string kv_type = "fp16";                   ///< as spec.kvCache.type names it
  std::vector<std::int64_t> fp16_kv_layers = {};  ///< that keep FP16 whatever kv_type says
  bool fp16 = false;
  std::int64_t replicas = 1;
};

/// Deployment (or LeaderWorkerSet) and headless Service. `base` sizes probes and memory.
std::vector<nlohmann::json> engine(const api::QuantizedModel& model, const Settings& settings,
                                   const std::optional<api::EngineProfile>& profile,
                                   const api::ModelFacts& base, const Engine& engine);

/// spec.kvCache.type as the engine's --kv-type names it.
std::string engine_kv_type(const std::string& kv_type);

}  // namespace stepdown::rollout::children
