#include "engine/server/memory_fit.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

#include "engine/base/error.h"
#include "engine/formats/header_facts.h"
#include "engine/memory/engines.h"
#include "engine/memory/memory_model.h"

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

memory::Model model_of(const formats::ModelFile& file, const formats::HeaderFacts& facts,
                       std::int64_t sequences) {
  memory::Model model;
  for (const TensorView& tensor : file.tensors())
    model.weights += static_cast<std::int64_t>(tensor.data.size());
  model.kv = memory::kv_cost(facts.attention).value_or(memory::KvCost{});
  model.activations = memory::activation_bytes(facts.shape, sequences);
  return model;
}

memory::KvType predicted(runtime::KvType type) {
  switch (type) {
    case runtime::KvType::kF16:
      return memory::KvType::kF16;
    case runtime::KvType::kInt8:
      return memory::KvType::kInt8;
    case runtime::KvType::kFp8:
      return memory::KvType::kFp8;
    case runtime::KvType::kInt4:
      break;
  }
  return memory::KvType::kInt4;
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
  constexpr std::int64_t kDefaultContext = 8192;
  const formats::HeaderFacts facts = formats::header_facts(model.gguf_metadata());
  const memory::Model main = model_of(model, facts, options.max_sequences);
  if (!main.kv.known()) return;
  memory::Load load;
  load.context = options.context > 0 ? options.context : std::min(facts.context_length, kDefaultContext);
  load.sequences = options.max_sequences;
  load.kv_type = predicted(options.kv_type);
  load.layers = facts.shape.layers;
  load.f16_layers = static_cast<std::int64_t>(options.f16_kv_layers.size());
  memory::Load cache = load;
  if (options.kv_tokens > 0) {
    cache.context = options.kv_tokens;
    cache.sequences = 1;
  }
  const memory::EngineTraits engine = memory::engine_traits("stepdown");
  std::int64_t beside = 0;
  if (draft != nullptr) {
    const memory::Model other =
        model_of(*draft, formats::header_facts(draft->gguf_metadata()), options.max_sequences);
    beside = memory::estimate(other, cache, {}).total();
  }
  const std::int64_t needed = memory::estimate(main, cache, engine).total() + beside;
  if (needed <= limit) return;
  const auto change = memory::cheapest_change(
      main, load, engine, limit - beside,
      options.kv_type == runtime::KvType::kF16 ? std::optional(memory::KvType::kInt8) : std::nullopt, 1);
  throw InputError("serving takes " + mebibytes(needed) + ", this process may use " + mebibytes(limit),
                   "memory", change ? mend(*change) : "give a smaller --kv-tokens or no draft model");
}

}  // namespace stepdown::server
