#include "engine/runtime/memory_demand.h"

#include <algorithm>

#include "engine/formats/header_facts.h"
#include "engine/memory/engines.h"

namespace stepdown::runtime {
namespace {

memory::KvType cache_type(KvType type) {
  switch (type) {
    case KvType::kF16:
      return memory::KvType::kF16;
    case KvType::kInt8:
      return memory::KvType::kInt8;
    case KvType::kFp8:
      return memory::KvType::kFp8;
    case KvType::kInt4:
      break;
  }
  return memory::KvType::kInt4;
}

}  // namespace

std::optional<MemoryDemand> memory_demand(const formats::ModelFile& file, const EngineOptions& options) {
  const formats::HeaderFacts facts = formats::header_facts(file.gguf_metadata());
  const auto kv = memory::kv_cost(facts.attention);
  if (!kv || !kv->known()) return std::nullopt;
  MemoryDemand demand;
  demand.model.kv = *kv;
  for (const TensorView& tensor : file.tensors())
    demand.model.weights += static_cast<std::int64_t>(tensor.data.size());
  demand.model.activations = memory::activation_bytes(facts.shape, options.max_sequences);
  demand.asked.context = resolved(options, file.config()).context;
  demand.asked.sequences = options.max_sequences;
  demand.asked.kv_type = cache_type(options.kv_type);
  demand.asked.layers = facts.shape.layers;
  demand.asked.f16_layers = static_cast<std::int64_t>(options.f16_kv_layers.size());
  demand.cache = demand.asked;
  if (options.kv_tokens > 0) {
    demand.cache.context = options.kv_tokens;
    demand.cache.sequences = 1;
  }
  return demand;
}

std::optional<std::int64_t> predicted_memory(const formats::ModelFile& file, const formats::ModelFile* draft,
                                             const EngineOptions& options) {
  const auto main = memory_demand(file, options);
  if (!main) return std::nullopt;
  std::int64_t needed = main->estimate(memory::engine_traits("stepdown")).total();
  if (draft != nullptr) {
    const auto beside = memory_demand(*draft, options);
    if (!beside) return std::nullopt;
    needed += beside->estimate({}).total();
  }
  return needed;
}

}  // namespace stepdown::runtime
