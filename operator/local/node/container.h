#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "operator/local/node/container_spec.h"

namespace stepdown::local {

/// What is known of a container's latest attempt.
struct ContainerState {
  enum class Kind { kNone, kRunning, kExited };

  Kind kind = Kind::kNone;
  int attempt = -1;  ///< 0 for the first: the restart count
  std::string started_at;
  std::string finished_at;
  int exit_code = 0;
  int signal = 0;
  std::string reason;   ///< "Completed", "Error", "OOMKilled", "StartError", "ContainerStatusUnknown"
  std::string message;  ///< the termination message, or why it did not start
};

/// One container of a pod, as its folder tells it: each attempt has a folder of its own, which its shim
/// fills. Nothing is kept in memory, so a restarted agent knows as much as the one before.
class Container {
 public:
  explicit Container(std::filesystem::path folder) : folder_(std::move(folder)) {}

  ContainerState state() const;
  /// The state of the attempt before the latest; kNone when there is none.
  ContainerState previous_state() const;
  /// Starts the next attempt: runs `shim_program local container ATTEMPT`. Throws Error.
  void start(ContainerSpec spec, const std::filesystem::path& termination_target,
             const std::filesystem::path& shim_program) const;
  /// Signals the container's process and its group; does nothing when it does not run.
  void signal(int number) const;

 private:
  int latest_attempt() const;
  ContainerState state_of(int attempt) const;

  std::filesystem::path folder_;
};

}  // namespace stepdown::local
