#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace stepdown::memory {

/// What a header says of a model's attention cache. Lengths in elements; 0: not stated.
struct AttentionHeader {
  std::string architecture;  ///< as config.json's model_type or GGUF's general.architecture names it
  std::int64_t layers = 0;
  std::int64_t kv_heads = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;
  std::int64_t window = 0;         ///< tokens that a sliding layer looks back
  std::int64_t window_layers = 0;  ///< sliding ones, where the header lists its layers; else by architecture
  bool lists_layers = false;
  std::int64_t period = 0;          ///< one layer of so many keeps every token; 0: by architecture
  bool foreign_layers = false;      ///< it lists layers that are no attention: state space, linear attention
  std::int64_t latent_dim = 0;      ///< multi-head latent attention: kv_lora_rank
  std::int64_t rope_dim = 0;        ///< of the key part beside the latent
  bool latent_is_expanded = false;  ///< a file without what attention over the latent itself needs
  std::int64_t shared_layers = 0;   ///< layers that read another layer's keys and values
};

/// Bytes that a token's keys and values take at binary16, over all layers.
struct KvCost {
  std::int64_t per_token = 0;           ///< of layers that keep every token
  std::int64_t windowed_per_token = 0;  ///< of layers that keep the last `window` tokens
  std::int64_t window = 0;
  std::int64_t expanded_per_token =
      0;                      ///< of a latent cache, where an engine keeps all heads' keys and values
  std::int64_t heads = 1;     ///< tensor parallelism splits a cache by these; a latent cache has one
  std::int64_t head_dim = 0;  ///< elements of one head's key

  bool known() const { return per_token > 0 || windowed_per_token > 0; }
  bool operator==(const KvCost&) const = default;
};

/// nullopt when the architecture's cache is not known here, or the header lacks what it needs: who cannot
/// predict must not schedule. Saturates at INT64_MAX.
std::optional<KvCost> kv_cost(const AttentionHeader& header);

}  // namespace stepdown::memory
