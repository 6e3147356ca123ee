#include "engine/runtime/advance.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace stepdown::runtime {
namespace {

void finish(Sequence& sequence, FinishReason reason) {
  sequence.finished = true;
  sequence.events.push_back({.finish = reason});
}

/// What is asked of a row, whether all of it is known or what leads.
class Row {
 public:
  Row(const StepLogits& step, const TokenRow& row)
      : vocab_(static_cast<std::size_t>(step.vocab)),
        row_(row),
        distribution_(row.logits != nullptr ? step.operations.summarize(row.logits, step.vocab)
                                            : row.leading->distribution) {}

  const kernels::Distribution& distribution() const { return distribution_; }
  std::size_t vocab() const { return vocab_; }
  bool tells_likeliest(std::int32_t count) const {
    return row_.logits != nullptr || static_cast<std::size_t>(row_.leading->count) >=
                                         std::min(vocab_, static_cast<std::size_t>(std::max(count, 0)));
  }
  /// Of a token that choose() gave.
  float logprob(TokenId token) const {
    if (row_.logits != nullptr) return row_.logits[token] - distribution_.log_sum;
    const auto found = std::ranges::find(row_.leading->best(), token, &model::LeadingToken::token);
    return found->logit - distribution_.log_sum;
  }
  std::vector<std::pair<TokenId, float>> likeliest(std::int32_t count) const {
    if (row_.logits != nullptr) return most_likely(all(), distribution_.log_sum, count);
    std::vector<std::pair<TokenId, float>> out;
    for (const auto& [logit, token] : row_.leading->best()) {
      if (static_cast<std::int32_t>(out.size()) < count)
        out.emplace_back(token, logit - distribution_.log_sum);
    }
    return out;
  }

 private:
  std::span<const float> all() const { return {row_.logits, vocab_}; }

  std::size_t vocab_;
  const TokenRow& row_;
  kernels::Distribution distribution_;
};

enum class Took { kToken, kEnd, kNothing };

/// Takes the next token from one row; nothing where it does not tell which.
Took take_token(Sequence& sequence, const StepLogits& step, const TokenRow& known) {
  GenerateRequest& request = sequence.request;
  const Row row(step, known);
  const auto ends = [&sequence](FinishReason reason) {
    finish(sequence, reason);
    return Took::kEnd;
  };
  if (!row.distribution().finite) return ends(FinishReason::kNonFinite);
  if (request.max_tokens <= 0) return ends(FinishReason::kLength);
  if (!row.tells_likeliest(request.top_logprobs)) return Took::kNothing;
  if (request.constraint != nullptr) {
    sequence.mask.assign((row.vocab() + 31) / 32, 0);
    request.constraint->fill_mask(sequence.mask);
  }
  const std::optional<TokenId> chosen = choose(*sequence.sampler, known, row.vocab(), sequence.mask);
  if (!chosen) return Took::kNothing;
  const TokenId token = *chosen;
  if (token < 0 && request.constraint->too_costly()) {
    ends(FinishReason::kLength);
    sequence.events.back().too_ambiguous = true;
    return Took::kEnd;
  }
  if (token < 0)  // the grammar allows nothing more
    return ends(request.constraint->complete() ? FinishReason::kStop : FinishReason::kLength);
  if (step.tokenizer.is_end(token) && !request.ignore_end) return ends(FinishReason::kStop);
  sequence.sampler->accept(token);
  sequence.tokens.push_back(token);
  if (sequence.generated++ == 0) sequence.answered = Sequence::Clock::now();
  TokenEvent event{.token = token, .logprob = row.logprob(token), .entropy = row.distribution().entropy};
  if (request.top_logprobs > 0) event.top_logprobs = row.likeliest(request.top_logprobs);
  sequence.events.push_back(std::move(event));
  const bool fits = request.constraint == nullptr || request.constraint->accept(token);
  const bool full = static_cast<std::int64_t>(sequence.tokens.size()) >= step.context;
  return fits && !full && sequence.generated < request.max_tokens ? Took::kToken
                                                                  : ends(FinishReason::kLength);
}

}  // namespace

Advance advance(Sequence& sequence, const StepLogits& logits, Advance before) {
  const std::vector<TokenId>& draft = sequence.draft;
  std::size_t held = before.held;
  for (;; ++held) {
    const Took took = take_token(sequence, logits, logits.rows[held]);
    if (took == Took::kNothing) return {held, false};
    if (took == Took::kEnd || held == draft.size() || sequence.tokens.back() != draft[held]) break;
  }
  // A draft costs little where it mostly holds and is in the way where it never does.
  constexpr std::int64_t kLongest = 16;
  if (!draft.empty())
    sequence.draft_limit = held == draft.size() ? std::min(kLongest, sequence.draft_limit * 2)
                                                : std::max<std::int64_t>(1, static_cast<std::int64_t>(held));
  sequence.draft.clear();
  return {held, true};
}

}  // namespace stepdown::runtime
