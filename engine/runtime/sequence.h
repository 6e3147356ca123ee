#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/page_cache.h"
#include "engine/runtime/sampler.h"

namespace stepdown::runtime {

/// What is wanted of a sequence: tokens, the log-probabilities of its own, or one vector for all of it.
enum class Purpose { kGenerate, kScore, kEmbed };

/// The order in which sequences get room: by priority, then the nearest deadline, then clients in turns, then
/// arrival.
struct Rank {
  std::int32_t priority = 0;  ///< the lower the sooner
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::int64_t turn = 0;  ///< of its client: ClientTurns
  Engine::RequestId id = 0;
  auto operator<=>(const Rank&) const = default;
};

/// One sequence in the scheduler.
struct Sequence {
  using Clock = std::chrono::steady_clock;

  Rank rank;
  Purpose purpose = Purpose::kGenerate;
  GenerateRequest request;  ///< of a generating sequence; its prompt has moved to `tokens`
  std::unique_ptr<Sampler> sampler;
  std::promise<std::vector<float>> result_promise;  ///< of what is scored or embedded
  std::vector<float> result;

  std::vector<TokenId> tokens;  ///< prompt and what was generated
  std::int64_t cached = 0;      ///< tokens whose keys and values are in the cache
  std::int64_t generated = 0;
  PageCache::Lease pages;
  std::vector<std::uint32_t> mask;

  std::vector<TokenId> draft;        ///< guesses that this step checks
  PageCache::Lease draft_pages;      ///< of a draft model's cache
  std::int64_t draft_cached = 0;     ///< tokens in them
  std::int64_t draft_limit = 4;      ///< rises with luck
  std::vector<TokenId> step_tokens;  ///< the pending token with the draft behind it

  Clock::time_point arrived = Clock::now();
  Clock::time_point started{}, answered{};  ///< first admitted; first token
  std::int64_t prefix_tokens = 0;           ///< of the prompt that others had computed
  std::vector<TokenEvent> events;           ///< of this step, not told yet
  bool finished = false;

  std::int64_t pending() const { return static_cast<std::int64_t>(tokens.size()) - cached; }
  bool generates() const { return purpose == Purpose::kGenerate; }
};

/// What one step runs: for each chosen sequence, how many of its pending tokens. A draft is not counted.
struct StepShare {
  Sequence* sequence;
  std::int64_t count;
};

/// Continuous batching with chunked prefill (Orca; Sarathi-Serve): every sequence with one pending token
/// takes part, then prompts share `prefill_chunk` tokens in order of arrival, so that a long prompt never
/// stalls the others. `shared_page`: tokens of a page that sequences may share, 0 when they may not; a prompt
/// waits while one before it computes a page that both begin with.
std::vector<StepShare> plan_step(const std::vector<std::unique_ptr<Sequence>>& running,
                                 std::int64_t prefill_chunk, std::int64_t shared_page);

/// Tokens that a sequence will have come to when it ends, as far as one can tell: answers are as long as they
/// usually are (`typical` tokens; 0: unknown), and no longer than was asked for.
std::int64_t predicted_tokens(const Sequence& sequence, double typical, std::int64_t context);

}  // namespace stepdown::runtime
