#include "engine/server/memory_fit.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

#include "engine/base/error.h"
#include "engine/memory/engines.h"
#include "engine/memory/memory_model.h"
#include "engine/runtime/memory_demand.h"

namespace stepdown::server {
namespace {

namespace fs = std::filesystem;

/// The number that a file begins with, or that follows `label` there; nullopt when there is none ("max").
std::optional<std::int64_t> number_in(const fs::path& file, const std::string& label = {}) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(label)) continue;
    const std::size_t digits = line.find_first_of("0123456789", label.size());
    if (digits == std::string::npos) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data() + digits, line.data() + line.size(), value);
    return error == std::errc() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

void lower(std::optional<std::int64_t>& limit, std::optional<std::int64_t> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

/// The limits of a group and of those around it.
void lower_by_group(std::optional<std::int64_t>& limit, const fs::path& mount, const std::string& group,
                    const char* file) {
  fs::path at = fs::path(group).relative_path();
  for (;; at = at.parent_path()) {
    lower(limit, number_in(mount / at / file));
    if (at.empty() || at == at.parent_path()) return;
  }
}

std::string mebibytes(std::int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

std::string mend(const memory::Change& change) {
  const std::string value = std::to_string(change.value);
  switch (change.kind) {
    case memory::Change::Kind::kKvType:
      return "give --kv-type int8";
    case memory::Change::Kind::kConcurrency:
      return "give --max-sequences " + value;
    case memory::Change::Kind::kContext:
      return "give --context " + value;
    default:
      return "give it " + mebibytes(change.value);
  }
}

}  // namespace

std::optional<std::int64_t> memory_limit(const fs::path& root) {
  std::optional<std::int64_t> limit = number_in(root / "proc/meminfo", "MemTotal:");
  if (limit) *limit *= 1024;
  std::ifstream groups(root / "proc/self/cgroup");  // lines of hierarchy:controllers:group
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) lower_by_group(limit, root / "sys/fs/cgroup", group, "memory.max");
    if (controllers == "memory")
      lower_by_group(limit, root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
  }
  return limit;
}

void check_memory(const formats::ModelFile& model, const formats::ModelFile* draft,
                  const runtime::EngineOptions& options, std::int64_t limit) {
  const auto predicted = runtime::predicted_memory(model, draft, options);
  if (!predicted || *predicted <= limit) return;
  const memory::EngineTraits engine = memory::engine_traits("stepdown");
  const runtime::MemoryDemand main = runtime::memory_demand(model, options).value();
  const std::int64_t beside = *predicted - main.estimate(engine).total();
  const auto change = memory::cheapest_change(
      main.model, main.asked, engine, limit - beside,
      options.kv_type == runtime::KvType::kF16 ? std::optional(memory::KvType::kInt8) : std::nullopt, 1);
  throw InputError("serving takes " + mebibytes(*predicted) + ", this process may use " + mebibytes(limit),
                   "memory", change ? mend(*change) : "give a smaller --kv-tokens or no draft model");
}

}  // namespace stepdown::server
