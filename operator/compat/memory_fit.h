#pragma once

#include <cstdint>

#include "operator/api/kinds.h"

/// Memory of one replica, predicted from what the inspect Job read: weights + KV + activations.
namespace stepdown::compat {

/// Tokens of context that a replica serves: the asked ones, or the model's own limit, at most 8192.
std::int64_t context_length(const api::ServingSpec& serving, const api::ModelFacts& model);

/// Bytes of KV cache a token at spec.kvCache.type, from the bytes at fp16.
std::int64_t kv_bytes_per_token(const api::ModelFacts& model, std::string_view kv_type);

struct Footprint {
  std::int64_t weights = 0;
  std::int64_t kv_per_sequence = 0;
  std::int64_t activations = 0;

  std::int64_t at(std::int64_t sequences) const {
    return weights + kv_per_sequence * sequences + activations;
  }
};

/// Of a model whose files have `bytes`; the base's own when bytes is its size.
Footprint footprint(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                    std::string_view kv_type);

/// Sequences that a replica may decode at once: spec.serving.concurrency, or fewer where
/// spec.serving.hardware.memory holds no more; 0 when not even one fits.
std::int64_t sequences_that_fit(const api::QuantizedModelSpec& spec, const Footprint& footprint);

}  // namespace stepdown::compat
