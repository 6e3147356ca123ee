#include "engine/eval/evaluation_memory.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "engine/eval/perplexity.h"
#include "engine/eval/sequence_runner.h"
#include "engine/memory/engines.h"
#include "engine/runtime/memory_demand.h"

namespace stepdown::eval {
namespace {

using runtime::memory_demand;

constexpr std::int64_t kF32 = 4;

std::int64_t paged(std::int64_t tokens) {
  return (tokens + memory::kPageTokens - 1) / memory::kPageTokens * memory::kPageTokens;
}

std::int64_t overhead() {
  return memory::engine_traits("stepdown").overhead;
}

/// A SequenceRunner: one sequence, whose steps are shorter than an engine's and show every row's logits.
std::optional<std::int64_t> runner_memory(const formats::ModelFile& file, model::KvType type,
                                          std::int64_t tokens) {
  auto demand = memory_demand(
      file, {.context = std::max<std::int64_t>(tokens, 2), .max_sequences = 1, .kv_type = type});
  if (!demand) return std::nullopt;
  const std::int64_t logits = file.config().vocab * kF32;
  const std::int64_t rows = demand->model.activations - logits;
  demand->model.activations =
      rows * SequenceRunner::kStep / memory::kPrefillChunk + SequenceRunner::kStep * logits;
  return demand->estimate({}).total();
}

}  // namespace

std::int64_t cached_tokens(const tokenizer::ChatEncoder& encoder, std::span<const Sample> samples,
                           const CachedTokens& options) {
  constexpr auto kPage = static_cast<std::size_t>(memory::kPageTokens);
  std::unordered_set<std::uint64_t> prompts;  // full pages, by all tokens that lead to their end
  std::int64_t answers = 0;                   // full pages behind them
  std::int64_t scored = 0;
  std::int64_t longest = 0;
  for (const Sample& sample : samples) {
    std::vector<tokenizer::TokenId> prompt = encoder.prompt(sample.messages, sample.tools);
    const auto asked = std::min<std::int64_t>(static_cast<std::int64_t>(prompt.size()), options.context);
    const auto whole = static_cast<std::int64_t>(tokens_of(encoder, sample, options.context).tokens.size());
    std::uint64_t hash = 14695981039346656037u;  // FNV-1a's
    for (std::size_t i = 0; i < static_cast<std::size_t>(asked); ++i) {
      hash = (hash ^ static_cast<std::uint32_t>(prompt[i])) * 1099511628211u;
      if ((i + 1) % kPage == 0) prompts.insert(hash);
    }
    const std::int64_t end = sample.expected ? whole : std::min(options.context, asked + options.max_tokens);
    const std::int64_t own = end / memory::kPageTokens - asked / memory::kPageTokens;
    answers += own * (options.constrained && !sample.brought_by_suite ? 2 : 1);
    if (sample.brought_by_suite) continue;
    scored += whole;
    longest = std::max(longest, whole);
  }
  if (scored >= options.context) longest = options.context;  // then full contexts are scored too
  return (static_cast<std::int64_t>(prompts.size()) + answers + options.concurrency) * memory::kPageTokens +
         paged(longest);
}

std::optional<std::int64_t> answering_memory(const formats::ModelFile& model, runtime::EngineOptions options,
                                             std::int64_t cached) {
  auto demand = memory_demand(model, options);
  if (!demand) return std::nullopt;
  demand->cache.context = std::min(paged(cached), paged(demand->asked.context) * demand->asked.sequences);
  demand->cache.sequences = 1;
  // Scoring holds some rows' logits at once.
  const std::int64_t rows = std::max<std::int64_t>(0, SequenceRunner::kStep - options.max_sequences);
  demand->model.activations += rows * model.config().vocab * kF32;
  return demand->estimate(memory::engine_traits("stepdown")).total();
}

std::optional<std::int64_t> cache_check_memory(const formats::ModelFile& model, model::KvType type,
                                               std::int64_t tokens) {
  const auto exact = runner_memory(model, model::KvType::kF16, tokens);
  const auto beside = memory_demand(
      model, {.context = std::max<std::int64_t>(tokens, 2), .max_sequences = 1, .kv_type = type});
  if (!exact || !beside) return std::nullopt;
  return *exact + beside->estimate({}).kv + overhead();
}

std::optional<std::int64_t> divergence_memory(const formats::ModelFile& candidate,
                                              const formats::ModelFile& reference, model::KvType type,
                                              std::int64_t tokens) {
  const auto ours = runner_memory(candidate, type, tokens);
  const auto theirs = runner_memory(reference, model::KvType::kF16, tokens);
  if (!ours || !theirs) return std::nullopt;
  return *ours + *theirs + overhead();
}

}  // namespace stepdown::eval
