#include "engine/runtime/advance.h"

namespace stepdown::runtime {
namespace {

void finish(Sequence& sequence, FinishReason reason) {
  sequence.finished = true;
  sequence.events.push_back({.finish = reason});
}

/// Takes the next token from one row; false when the sequence ended.
bool take_token(Sequence& sequence, const StepLogits& step, std::span<const float> logits) {
  GenerateRequest& request = sequence.request;
  const kernels::Distribution distribution = step.operations.summarize(logits.data(), step.vocab);
  const auto ends = [&sequence](FinishReason reason) {
    finish(sequence, reason);
    return false;
  };
  if (!distribution.finite) return ends(FinishReason::kNonFinite);
  if (request.max_tokens <= 0) return ends(FinishReason::kLength);
  if (request.constraint != nullptr) {
    sequence.mask.assign((logits.size() + 31) / 32, 0);
    request.constraint->fill_mask(sequence.mask);
  }
  const TokenId token = sequence.sampler->choose(logits, sequence.mask);
  if (token < 0 && request.constraint->too_costly()) {
    ends(FinishReason::kLength);
    sequence.events.back().too_ambiguous = true;
    return false;
  }
  if (token < 0)  // the grammar allows nothing more
    return ends(request.constraint->complete() ? FinishReason::kStop : FinishReason::kLength);
  if (step.tokenizer.is_end(token) && !request.ignore_end) return ends(FinishReason::kStop);
  sequence.sampler->accept(token);
  sequence.tokens.push_back(token);
  if (sequence.generated++ == 0) sequence.answered = Sequence::Clock::now();
  TokenEvent event{.token = token,
                   .logprob = logits[static_cast<std::size_t>(token)] - distribution.log_sum,
                   .entropy = distribution.entropy};
  if (request.top_logprobs > 0)
    event.top_logprobs = most_likely(logits, distribution.log_sum, request.top_logprobs);
  sequence.events.push_back(std::move(event));
  const bool fits = request.constraint == nullptr || request.constraint->accept(token);
  const bool full = static_cast<std::int64_t>(sequence.tokens.size()) >= step.context;
  return fits && !full && sequence.generated < request.max_tokens ? true : ends(FinishReason::kLength);
}

}  // namespace

std::int64_t advance(Sequence& sequence, const StepLogits& logits) {
  const auto vocab = static_cast<std::size_t>(logits.vocab);
  const std::vector<TokenId> draft = std::move(sequence.draft);
  sequence.draft.clear();
  std::size_t held = 0;
  while (take_token(sequence, logits, {logits.rows + held * vocab, vocab}) && held < draft.size() &&
         sequence.tokens.back() == draft[held]) {
    ++held;
  }
  // A draft costs little where it mostly holds and is in the way where it never does.
  constexpr std::int64_t kLongest = 16;
  if (!draft.empty())
    sequence.draft_limit = held == draft.size() ? std::min(kLongest, sequence.draft_limit * 2)
                                                : std::max<std::int64_t>(1, static_cast<std::int64_t>(held));
  return static_cast<std::int64_t>(held);
}

}  // namespace stepdown::runtime
