#include "engine/base/system_facts.h"

#include <fstream>

#include <sys/statvfs.h>

#include "engine/base/error.h"

namespace stepdown {
namespace {

/// What follows `key` and its colon in a /proc file of "key : value" lines; empty when absent.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

/// A figure in kB of this process's status.
std::uint64_t status_bytes(const std::string& key) {
  const std::string value = proc_value("/proc/self/status", key);
  if (value.empty()) throw Error("no " + key, "/proc/self/status");
  return std::stoull(value) * 1024;
}

}  // namespace

std::uint64_t peak_memory_bytes() {
  return status_bytes("VmHWM");
}

std::uint64_t resident_memory_bytes() {
  return status_bytes("VmRSS");
}

void reset_peak_memory() {
  std::ofstream file("/proc/self/clear_refs");
  file << 5 << std::flush;
  if (!file) throw Error("the peak memory cannot be reset", "/proc/self/clear_refs");
}

std::optional<std::uint64_t> free_bytes(const std::filesystem::path& folder) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

std::string cpu_name() {
  const std::string name = proc_value("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

}  // namespace stepdown
