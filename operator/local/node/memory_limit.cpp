#include "operator/local/node/memory_limit.h"

#include <array>
#include <fstream>
#include <string>

#include <unistd.h>

namespace stepdown::local {
namespace {

namespace fs = std::filesystem;

struct Version {
  fs::path root;
  const char* limit;
  const char* events;
};

/// cgroup v2 first, then v1's memory controller.
const std::array<Version, 2>& versions() {
  static const std::array<Version, 2> kVersions = {
      {{"/sys/fs/cgroup", "memory.max", "memory.events"},
       {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"}}};
  return kVersions;
}

bool write_text(const fs::path& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  out.flush();
  return static_cast<bool>(out);
}

/// Empty where the kernel or the permissions have none.
fs::path make_group(const Version& version, const std::string& name) {
  const fs::path parent = version.root / "stepdown";
  fs::path group = parent / name;
  std::error_code error;
  fs::create_directories(parent, error);
  write_text(parent / "cgroup.subtree_control",
             "+memory");  // v2 alone; the next step tells whether it worked
  fs::create_directory(group, error);
  if (!error && fs::exists(group / version.limit, error)) return group;
  fs::remove(group, error);
  return {};
}

}  // namespace

MemoryLimit::MemoryLimit(const std::string& name, std::int64_t bytes) {
  if (bytes <= 0) return;
  for (const Version& version : versions()) {
    const fs::path group = make_group(version, name);
    if (group.empty()) continue;
    if (write_text(group / version.limit, std::to_string(bytes)) &&
        write_text(group / "cgroup.procs", std::to_string(::getpid()))) {
      group_ = group;
      return;
    }
    std::error_code error;
    fs::remove(group, error);
  }
}

MemoryLimit::~MemoryLimit() {
  if (group_.empty()) return;
  // A group with a process cannot go: this one leaves it first.
  std::error_code error;
  write_text(group_.parent_path().parent_path() / "cgroup.procs", std::to_string(::getpid()));
  fs::remove(group_, error);
}

bool memory_limits_work() {
  for (const Version& version : versions()) {
    const fs::path group = make_group(version, "try-" + std::to_string(::getpid()));
    if (group.empty()) continue;
    const bool works = write_text(group / version.limit, std::to_string(1 << 30)) &&
                       ::access((group / "cgroup.procs").c_str(), W_OK) == 0;
    std::error_code error;
    fs::remove(group, error);
    if (works) return true;
  }
  return false;
}

bool MemoryLimit::killed() const {
  for (const Version& version : versions()) {
    std::ifstream in(group_ / version.events);
    std::string word;
    std::int64_t count = 0;
    while (in >> word >> count) {
      if (word == "oom_kill" && count > 0) return true;
    }
  }
  return false;
}

}  // namespace stepdown::local
