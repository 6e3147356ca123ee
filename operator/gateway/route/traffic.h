#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/route/rollout.h"
#include "operator/gateway/route/split.h"
#include "operator/gateway/route/trial.h"
#include "operator/gateway/route/trips.h"

namespace stepdown::gateway {

/// Of the engines of one revision, as EndpointSlices list them.
enum class Reachable {
  kNone,  ///< none is listed: it starts, or was taken away
  kNo,    ///< listed as ready, and no connection to any succeeds
  kYes,
};

/// Decides where each request goes, and learns from what came of it. Everything a gateway knows about its
/// revisions is here; no I/O, the clock is an argument. For one thread.
class Traffic {
 public:
  using Reach = std::function<Reachable(const std::string& digest)>;
  /// `reach` tells of the engines of a digest now. `instance` names this gateway to its peers.
  Traffic(std::string instance, Reach reach);

  /// Where one request goes, and what its outcome tells about each revision under watch.
  struct Assignment {
    Arm arm = Arm::kFp16;
    std::string digest;
    std::string session;
    struct Stake {
      std::string digest;
      double w = 0;  ///< its share against control when the request arrived
    };
    std::vector<Stake> stakes;
  };
  /// `id` of the request; `session` empty when it has none.
  Assignment assign(const std::string& id, const std::string& session, WallTime now);

  /// What came of the assigned arm. `fp16_passed`: the FP16 retry of a failed answer passed. `ms`: how long
  /// the arm took, where that says something about it.
  struct Outcome {
    Fault fault = Fault::kNone;
    bool fp16_passed = false;
    std::optional<double> ms = std::nullopt;
  };
  void answered(const Assignment& assignment, const Outcome& outcome, WallTime now);
  /// One of FP16's and the revision's answers to the same request.
  void shadow_compared(const std::string& digest, double disagreement, WallTime now);

  /// FP16 was asked, and none of its engines is there: an operator that keeps it unloaded loads it.
  void fp16_missed(WallTime now);
  /// When that was last, by any gateway; to the minute.
  std::optional<WallTime> fp16_missed_at() const { return fp16_missed_at_; }

  /// Looks at what can be reached; to be called a few times a second. A candidate that Kubernetes lists as
  /// ready but that neither this gateway nor a peer reaches for kUnreachableFor, while FP16 is reached,
  /// trips: no answer will ever tell of it.
  void look_around(WallTime now);
  static constexpr std::chrono::seconds kUnreachableFor{60};
  /// Since when the digest's engines are listed but not reached; empty when they are.
  std::optional<WallTime> unreachable_since(const std::string& digest) const;

  /// What the operator says now.
  void follow(const Rollout& rollout, WallTime now);
  const Rollout& rollout() const { return rollout_; }
  /// Trips read from a file, a peer or status; from now on something is known.
  void remember(const std::vector<Trip>& trips);
  bool known() const { return trips_.known(); }

  /// To peers: {"instance", "trips", "evidence": {digest: …}, "reached": [digest], "fp16MissedAtMs"}; `hear`
  /// takes theirs, of any shape.
  nlohmann::json message() const;
  void hear(const nlohmann::json& message, WallTime now);

  Split split() const;
  const Trips& trips() const { return trips_; }
  const Trial* trial(const std::string& digest) const;
  /// The revision that status tells about: the candidate, the quantized stable one when that alone tripped or
  /// no other is there, or else the last that tripped.
  std::string subject() const;
  /// A trip of less than a second ago saw no request go to FP16 yet: its record lacks that time still.
  bool awaits_fp16(WallTime now) const;
  /// Rises with every trip and every cleared trip: what must be kept and told at once.
  std::uint64_t changes() const { return changes_; }
  const std::string& instance() const { return instance_; }

 private:
  Trial& watch(const std::string& digest);
  void look(const std::string& digest, WallTime now);
  void trip(const std::string& digest, Detector detected_by, WallTime now);
  void await_fp16(const std::string& digest, WallTime now);

  std::string instance_;
  Reach reach_;
  Rollout rollout_;
  Trips trips_;
  std::map<std::string, Trial> trials_;
  std::map<std::string, WallTime> unreachable_since_;
  std::map<std::string, WallTime> reached_by_peer_;
  std::optional<WallTime> fp16_missed_at_;
  std::vector<std::string> awaiting_fp16_;  // tripped, and no request came since
  std::uint64_t changes_ = 0;
};

}  // namespace stepdown::gateway
