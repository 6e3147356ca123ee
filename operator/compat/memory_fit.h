#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/memory/memory_model.h"
#include "operator/api/kinds.h"

/// Memory of one replica, predicted by engine/memory from what the inspect Job read.
namespace stepdown::compat {

/// Tokens of context that a replica serves: the asked ones, or the model's own limit, at most 8192.
std::int64_t context_length(const api::ServingSpec& serving, const api::ModelFacts& model);

struct Footprint {
  std::int64_t weights = 0;
  std::int64_t kv_per_sequence = 0;
  std::int64_t activations = 0;
  std::int64_t overhead = 0;  ///< of the engine, as its profile states it

  std::int64_t at(std::int64_t sequences) const;
};

/// Of a model whose files have `bytes`; the base's own when bytes is its size. `fp16_kv_layers` of its layers
/// keep an FP16 cache whatever `kv_type` says.
Footprint footprint(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                    std::string_view kv_type, const std::optional<api::EngineProfile>& profile = std::nullopt,
                    std::size_t fp16_kv_layers = 0);

/// Sequences that a replica may decode at once: spec.serving.concurrency, or fewer where
/// spec.serving.hardware.memory holds no more; 0 when not even one fits.
std::int64_t sequences_that_fit(const api::QuantizedModelSpec& spec, const Footprint& footprint,
                                const std::optional<api::EngineProfile>& profile = std::nullopt);

/// Bytes that spec.serving.hardware.memory leaves an engine; nullopt when it states none (or nonsense).
std::optional<std::int64_t> usable_memory(const api::ServingSpec& serving,
                                          const std::optional<api::EngineProfile>& profile = std::nullopt);

/// Bytes that a candidate's files will have; nullopt for one that nothing here makes.
std::optional<std::int64_t> predicted_size(const api::CandidateSpec& candidate, const api::ModelFacts& model);

/// "needs 18.2 GiB for one sequence of 8192 tokens, and 16Gi are given" of a quantized model whose files have
/// `bytes`; empty where one fits, or where nothing says how much memory there is.
std::string too_large(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                      const std::optional<api::EngineProfile>& profile = std::nullopt);

/// "3 sequences of 8192 tokens fit, or 5 of 4928"; empty where no memory is stated.
std::string largest_that_fits(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                              std::int64_t bytes, std::string_view kv_type,
                              const std::optional<api::EngineProfile>& profile = std::nullopt);

/// The cheapest change that makes such a model fit, as a sentence: "set spec.kvCache.type to int8".
std::string cheapest_mend(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                          std::int64_t bytes, std::string_view kv_type,
                          const std::optional<api::EngineProfile>& profile = std::nullopt);

/// "18.2 GiB", "640 MiB".
std::string readable_bytes(std::int64_t bytes);

}  // namespace stepdown::compat
