#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/memory/cache_layout.h"

/// From a model's header to the memory that serving it takes. All results are bytes and saturate at
/// INT64_MAX, so that a lying header gives "too much" instead of nonsense.
namespace stepdown::memory {

/// What of a decoder decides its step's buffers; lengths in elements.
struct Shape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t feed_forward = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
};

enum class KvType { kF16, kInt8, kFp8, kInt4 };

/// Of spec.kvCache.type: fp16, int8, fp8, int4.
std::optional<KvType> kv_type_of(std::string_view name);

inline constexpr std::int64_t kPageTokens = 64;     ///< the bundled engine's KV cache grows by pages
inline constexpr std::int64_t kPrefillChunk = 256;  ///< prompt tokens of one step

struct Load {
  std::int64_t context = 0;    ///< tokens of each sequence
  std::int64_t sequences = 0;  ///< at once
  KvType kv_type = KvType::kF16;
  std::int64_t accelerators = 1;  ///< that the model is split over
  std::int64_t nodes = 1;         ///< that they are of: layers are spread over nodes, heads within one
  std::int64_t layers = 0;        ///< of the model; needed where some keep binary16
  std::int64_t f16_layers = 0;    ///< that keep binary16 whatever kv_type says
};

/// What an engine adds to what the model needs.
struct EngineTraits {
  std::int64_t overhead = 0;     ///< each accelerator: program, CUDA context and graphs, allocator
  std::int64_t scale_block = 0;  ///< elements that share a binary16 scale in a quantized cache; 0: a head's
  bool scaleless = false;        ///< a quantized cache without scales in it
  bool frees_window = false;     ///< drops what slid out of a layer's window
  bool expands_latent = false;   ///< keeps the keys and values of all heads where a latent would do
  std::int64_t page = kPageTokens;     ///< tokens that a cache grows by
  std::int64_t chunk = kPrefillChunk;  ///< tokens of a prompt's step, which a window keeps for a while
  bool splits_layers = false;          ///< gives accelerators whole layers, whatever their heads
  bool repacks = false;                ///< keeps Model::repackable a second time
};

struct Model {
  std::int64_t weights = 0;  ///< as the files' headers state them
  KvCost kv;
  std::int64_t activations = 0;  ///< of one step
  std::int64_t repackable = 0;   ///< of the weights: those in ggml's 4-bit blocks
};

struct Estimate {
  std::int64_t weights = 0;
  std::int64_t kv = 0;
  std::int64_t activations = 0;
  std::int64_t overhead = 0;
  std::int64_t total() const;  ///< over all accelerators
};

/// KV cache of one sequence of `context` tokens on all accelerators together.
std::int64_t kv_bytes_per_sequence(const KvCost& cost, const Load& load, const EngineTraits& engine);

/// Buffers of one step: kPrefillChunk rows through the widest layer, and each sequence's logits.
std::int64_t activation_bytes(const Shape& shape, std::int64_t sequences);

Estimate estimate(const Model& model, const Load& load, const EngineTraits& engine = {});

/// The most sequences of load.context tokens whose estimate stays within `budget`; 0 when not even one does.
std::int64_t largest_sequences(const Model& model, Load load, const EngineTraits& engine,
                               std::int64_t budget);

/// The most tokens of context at load.sequences, in whole pages and at most load.context; 0 when none do.
std::int64_t largest_context(const Model& model, Load load, const EngineTraits& engine, std::int64_t budget);

/// One change of a load.
struct Change {
  enum class Kind { kKvType, kConcurrency, kContext, kAccelerators, kMemory };
  Kind kind = Kind::kMemory;
  std::int64_t value = 0;  ///< sequences, tokens, accelerators or bytes
  KvType kv_type = KvType::kF16;
};

/// What costs least and makes it fit `budget`: a smaller cache type that the engine has, then fewer sequences
/// or a shorter context down to half of what is asked, then more accelerators of the same size (at most
/// `most_accelerators`), then more memory. nullopt: it fits as it is.
std::optional<Change> cheapest_change(const Model& model, const Load& load, const EngineTraits& engine,
                                      std::int64_t budget, std::optional<KvType> smaller_cache,
                                      std::int64_t most_accelerators);

}  // namespace stepdown::memory
