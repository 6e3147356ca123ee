#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/kinds.h"
#include "operator/api/time.h"
#include "operator/rollout/command.h"

/// The state machine of traffic: pure, and the only writer of status.rollout. Without a base there is no
/// traffic: commands alone are answered.
namespace stepdown::rollout {

/// What the spec leads to.
struct Target {
  bool decided = false;  ///< false: still being made, or the spec is invalid; traffic stays as it is
  std::string digest;    ///< the base's when no candidate met every SLO
  std::string revision;  ///< name of its QuantRevision
};

struct StepInput {
  const api::RolloutSpec& spec;
  const api::QuantizedModelStatus& status;  ///< as observed: rollout, verdict, blocked, paused, CanaryHealthy
  std::string uid;                          ///< of the QuantizedModel
  std::string base;                         ///< digest of FP16; empty while no source was ever read
  std::string base_before;                  ///< digest of FP16 when status was written; empty at first
  Target target;
  bool fp16_ready = false;         ///< FP16 can carry the full load
  bool stable_lacks_room = false;  ///< some of the stable revision's pods do not run
  bool fp16_serves = true;         ///< false while an FP16 that is loaded on demand is not there
  bool candidate_ready = false;    ///< the target's own pods, of the present generation, are available
  bool candidate_failed = false;   ///< they did not become so within their deadline
  std::string unchecked;           ///< why nothing may be promoted yet: the files are read again first
  std::string stale;               ///< what makes the evaluation stale; empty while it holds
  std::optional<Command> command;
  bool failures_gone =
      true;  ///< what failed before is removed before a retry is acknowledged: it would count again
  api::Time now;
};

enum class Position {
  kUndecided,    ///< no target yet
  kServingFp16,  ///< the target is FP16
  kWaiting,      ///< the candidate's engine starts
  kStepping,     ///< traffic is split
  kPromoted,     ///< the target is stable
  kBlocked,      ///< the target tripped before
};

struct StepOutcome {
  Position position = Position::kUndecided;
  api::RolloutStatus rollout;  ///< routes are left to the caller
  std::vector<api::Blocked> blocked;
  std::optional<api::Rollback> rollback;  ///< set when one happened now
  std::optional<bool> paused;
  std::optional<api::CommandStatus> command;  ///< set when one was carried out or refused now
  std::string message;                        ///< what the rollout waits for
  std::optional<std::chrono::milliseconds> look_again;
};

StepOutcome advance(const StepInput& input);

}  // namespace stepdown::rollout
