#pragma once

#include <cstdint>

namespace stepdown::memory {

/// What of a decoder costs memory; lengths in elements. All results are bytes and saturate at INT64_MAX, so
/// that a lying header gives "too much" instead of nonsense.
struct Shape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t feed_forward = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
};

enum class KvType { kF16, kInt8 };

inline constexpr std::int64_t kPageTokens = 64;     ///< the KV cache grows by pages
inline constexpr std::int64_t kPrefillChunk = 256;  ///< prompt tokens of one step

struct Load {
  std::int64_t context = 0;    ///< tokens of each sequence
  std::int64_t sequences = 0;  ///< at once
  KvType kv_type = KvType::kF16;
};

struct Estimate {
  std::int64_t weights = 0;
  std::int64_t kv = 0;
  std::int64_t activations = 0;
  std::int64_t total() const;
};

/// Keys and values of one token over all layers; int8 has a binary16 scale per head beside each.
std::int64_t kv_bytes_per_token(const Shape& shape, KvType type);

/// Buffers of one step: kPrefillChunk rows through the widest layer, and each sequence's logits.
std::int64_t activation_bytes(const Shape& shape, std::int64_t sequences);

/// `weights`: bytes of all tensors, as the model's header states them.
Estimate estimate(std::int64_t weights, const Shape& shape, const Load& load);

/// The most sequences of `context` tokens whose estimate stays within `budget`; 0 when not even one does.
std::int64_t largest_sequences(std::int64_t weights, const Shape& shape, std::int64_t context, KvType type,
                               std::int64_t budget);

}  // namespace stepdown::memory
