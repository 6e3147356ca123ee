#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/sampler.h"

namespace stepdown::runtime {

/// One sequence in the scheduler: a request that generates, or a text that is scored.
struct Sequence {
  Engine::RequestId id = 0;
  GenerateRequest request;  ///< of a generating sequence; its prompt has moved to `tokens`
  std::unique_ptr<Sampler> sampler;
  std::promise<std::vector<float>> scores_promise;  ///< of a scored text
  bool scored = false;

  std::vector<TokenId> tokens;  ///< prompt and what was generated
  std::int64_t cached = 0;      ///< tokens whose keys and values are in the cache
  std::int64_t generated = 0;
  std::vector<std::int32_t> pages;
  std::vector<float> scores;
  std::vector<std::uint32_t> mask;

  std::int64_t pending() const { return static_cast<std::int64_t>(tokens.size()) - cached; }
};

/// What one step runs: for each chosen sequence, how many of its pending tokens.
struct StepShare {
  Sequence* sequence;
  std::int64_t count;
};

/// Continuous batching with chunked prefill (Orca; Sarathi-Serve): every sequence with one pending token
/// takes part, then prompts share `prefill_chunk` tokens in order of arrival, so that a long prompt never
/// stalls the others.
std::vector<StepShare> plan_step(const std::vector<std::unique_ptr<Sequence>>& running,
                                 std::int64_t prefill_chunk);

}  // namespace stepdown::runtime
