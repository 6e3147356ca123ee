#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/route/rollout.h"
#include "operator/gateway/route/wall_time.h"
#include "operator/gateway/verdict/tests.h"

namespace stepdown::gateway {

/// The end of a revision, as its gateway saw it.
struct Trip {
  std::string digest;
  std::uint64_t epoch = 0;  ///< of the rollout, when it tripped
  Detector detected_by = Detector::kEProcess;
  std::string reason;  ///< the fault seen most, e.g. "looping"
  std::uint64_t bad_answers = 0;
  Evidence evidence;
  WallTime first_bad_at{};
  WallTime at{};
  std::optional<WallTime> fp16_at;  ///< when the next request that was the revision's went to FP16
};

/// Tripped revisions, by digest. A trip is remembered over restarts (file), at the peers and in status, and
/// ends only by the command `retry`: status.rollout.retriedEpoch is then later than the trip and
/// status.blocked does not list the digest. Another step, another rollout or the same YAML from Git end none.
///
/// Until one of the three memories was read, nothing is known and no quantized revision may be routed.
class Trips {
 public:
  bool known() const { return known_; }
  void set_known() { known_ = true; }

  /// True when it is news, as when a peer's next request went to FP16 before ours. What `rollout` retries
  /// already is none: a peer may not have heard of that yet.
  bool add(const Trip& trip, const Rollout& rollout);
  /// Forgets what `rollout` retries; the digests that were.
  std::vector<std::string> clear_retried(const Rollout& rollout);
  bool routable(const Rollout& rollout, const std::string& digest) const;
  void set_fp16_at(const std::string& digest, WallTime at);

  const Trip* find(const std::string& digest) const;
  const std::map<std::string, Trip>& all() const { return trips_; }

 private:
  std::map<std::string, Trip> trips_;
  bool known_ = false;
};

nlohmann::json to_json(const Trip& trip);
/// Empty when the value is no trip.
std::optional<Trip> trip_from_json(const nlohmann::json& value);

/// [trip, …]; what is no trip is skipped.
nlohmann::json to_json(const Trips& trips);
std::vector<Trip> trips_from_json(const nlohmann::json& value);

}  // namespace stepdown::gateway
