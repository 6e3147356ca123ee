#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace stepdown::local {

/// A memory cgroup (v2, or v1's memory controller) that holds the calling process and its future children.
/// Where none can be made the limit is not enforced; `local up` says so.
class MemoryLimit {
 public:
  /// `bytes` 0: no limit, nothing is made.
  MemoryLimit(const std::string& name, std::int64_t bytes);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  /// The kernel killed a process of the group for memory.
  bool killed() const;

 private:
  std::filesystem::path group_;
};

/// Whether this process may make memory cgroups: as root, or in a delegated one.
bool memory_limits_work();

}  // namespace stepdown::local
