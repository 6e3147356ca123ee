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

}  // namespace

MemoryLimit::MemoryLimit(const std::string& name, std::int64_t bytes) {
  if (bytes <= 0) return;
  for (const Version& version : versions()) {
    const fs::path parent = version.root / "stepdown";
    const fs::path group = parent / name;
    std::error_code error;
    fs::create_directories(parent, error);
    write_text(parent / "cgroup.subtree_control",
               "+memory");  // v2 alone; the next step tells whether it worked
    fs::create_directory(group, error);
    if (error || !fs::exists(group / version.limit, error)) {
      fs::remove(group, error);
      continue;
    }
    if (write_text(group / version.limit, std::to_string(bytes)) &&
        write_text(group / "cgroup.procs", std::to_string(::getpid()))) {
      group_ = group;
      return;
    }
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
