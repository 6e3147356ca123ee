#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/rollout/children/engine.h"
#include "operator/rollout/observed.h"

/// Which digests have an engine, how many replicas, and whether those run.
namespace stepdown::rollout {

class Engines {
 public:
  /// `base` is the model that spec.model.source holds; `made` are revisions that this plan makes.
  Engines(const Observed& observed, const Settings& settings, const api::ModelFacts& base,
          const std::vector<api::QuantRevision>& made)
      : observed_(observed), settings_(settings), base_(base), made_(made) {}

  /// FP16 carries the full load unless a quantized revision is stable and nothing is rolled out; then
  /// spec.rollout.fallback.replicas, and no less than control needs; none of them while FP16 is not demanded.
  std::int64_t fp16_replicas(const api::RolloutStatus& rollout, const std::string& target,
                             bool demanded) const;

  std::string name(const std::string& digest) const;
  /// Deployment or LeaderWorkerSet.
  const char* kind(const std::string& digest) const;
  /// The Deployment as it must be; null where the artifact's place is not known.
  std::vector<nlohmann::json> objects(const std::string& digest, std::int64_t replicas) const;
  /// The Deployment is as it must be, and only pods of it run, all available.
  bool ready(const std::string& digest, std::int64_t replicas) const;
  bool failed(const std::string& digest) const;

 private:
  const api::QuantRevision* revision(const std::string& digest) const;

  const Observed& observed_;
  const Settings& settings_;
  const api::ModelFacts& base_;
  const std::vector<api::QuantRevision>& made_;
};

}  // namespace stepdown::rollout
