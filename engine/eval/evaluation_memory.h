#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/eval/dataset.h"
#include "engine/formats/model_file.h"
#include "engine/runtime/engine.h"
#include "engine/tokenizer/chat_encoder.h"

/// What the steps of an evaluation take, predicted by the models' headers and the prompts: the peak of a
/// process that computes on CPUs, bytes. nullopt for architectures whose cache is not known.
namespace stepdown::eval {

struct CachedTokens {
  std::int64_t context = 0;
  std::int64_t concurrency = 1;
  std::int64_t max_tokens = 0;
  bool constrained = false;  ///< each prompt is asked twice
};
/// Tokens that asking and scoring these prompts leaves or needs in the cache, were it endless: what sequences
/// share stays once, and what is scored is not kept. An answer counts as long as its reference; without one,
/// as long as allowed.
std::int64_t cached_tokens(const tokenizer::ChatEncoder& encoder, std::span<const Sample> samples,
                           const CachedTokens& options);

/// Answering and scoring by an engine of these options, whose cache need hold no more than `cached` tokens.
std::optional<std::int64_t> answering_memory(const formats::ModelFile& model, runtime::EngineOptions options,
                                             std::int64_t cached);

/// The check of a quantized cache on sequences of so many tokens.
std::optional<std::int64_t> cache_check_memory(const formats::ModelFile& model, model::KvType type,
                                               std::int64_t tokens);

/// Two models side by side over sequences of so many tokens.
std::optional<std::int64_t> divergence_memory(const formats::ModelFile& candidate,
                                              const formats::ModelFile& reference, model::KvType type,
                                              std::int64_t tokens);

}  // namespace stepdown::eval
