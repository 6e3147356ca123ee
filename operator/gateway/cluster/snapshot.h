#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/route/rollout.h"
#include "operator/gateway/route/traffic.h"
#include "operator/gateway/upstream/upstreams.h"

namespace stepdown::gateway {

/// What a gateway reads of its cluster.
struct Snapshot {
  Rollout rollout;
  Endpoints endpoints;      ///< by Service
  std::vector<Trip> trips;  ///< that status.verdict tells of
  std::int64_t generation = 0;
  bool operator==(const Snapshot&) const;
};

/// Where snapshots come from: the API server, or a test.
class RouteSource {
 public:
  virtual ~RouteSource() = default;
  /// Calls `on_change` from any thread, with the first snapshot once both model and endpoints were read.
  virtual void start(std::function<void(Snapshot)> on_change) = 0;
  virtual void stop() = 0;
};

/// Where verdicts go.
class VerdictSink {
 public:
  virtual ~VerdictSink() = default;
  /// What status shall say; quick, from the data path's thread. `urgent`: more than counts has changed.
  virtual void tell(const nlohmann::json& status, bool urgent) = 0;
};

/// Reads a QuantizedModel and EndpointSlices. Addresses that are not ready are left out.
Snapshot read_snapshot(const nlohmann::json& model, const std::vector<nlohmann::json>& endpoint_slices);

}  // namespace stepdown::gateway
