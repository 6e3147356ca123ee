#pragma once

#include <filesystem>
#include <optional>

#include <sys/types.h>

namespace stepdown::local {

/// Where "up" keeps its state by default.
std::filesystem::path default_dir();

/// Makes sure that one supervisor runs for a folder: it holds DIR/up.lock locked and writes its pid there.
class InstanceLock {
 public:
  /// Throws Error when another supervisor holds it.
  explicit InstanceLock(const std::filesystem::path& dir);
  ~InstanceLock();
  InstanceLock(const InstanceLock&) = delete;
  InstanceLock& operator=(const InstanceLock&) = delete;

 private:
  int fd_ = -1;
};

/// The supervisor of `dir` that runs now.
std::optional<pid_t> running_instance(const std::filesystem::path& dir);

}  // namespace stepdown::local
