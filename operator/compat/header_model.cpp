#include "operator/compat/header_model.h"

#include "engine/memory/memory_model.h"

namespace stepdown::compat {

api::ModelFacts facts_of(const formats::HeaderFacts& header) {
  constexpr std::int64_t kSequences = 4;  // as stepdown-engine inspect
  const memory::KvCost kv = memory::kv_cost(header.attention).value_or(memory::KvCost{});
  api::ModelFacts facts;
  facts.format = header.format;
  facts.architecture = header.architecture;
  facts.context_length = header.context_length;
  facts.size = header.weights;
  facts.parameters = header.parameters;
  facts.attention_heads = header.shape.heads;
  facts.intermediate_size = header.intermediate;
  facts.memory = {.layers = header.shape.layers,
                  .weights = header.weights,
                  .kv_per_token = kv.per_token,
                  .kv_windowed_per_token = kv.windowed_per_token,
                  .kv_window = kv.window,
                  .kv_expanded_per_token = kv.expanded_per_token,
                  .kv_heads = kv.heads,
                  .head_dim = kv.head_dim,
                  .activations = memory::activation_bytes(header.shape, kSequences)};
  return facts;
}

}  // namespace stepdown::compat
