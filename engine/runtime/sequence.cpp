#include "engine/runtime/sequence.h"

#include <algorithm>
#include <cmath>

namespace stepdown::runtime {

namespace {

/// Tokens, in whole pages, that both prompts begin with.
std::int64_t shared_beginning(const Sequence& a, const Sequence& b, std::int64_t page) {
  const auto same = std::ranges::mismatch(a.tokens, b.tokens).in1 - a.tokens.begin();
  return same / page * page;
}

}  // namespace

std::vector<StepShare> plan_step(const std::vector<std::unique_ptr<Sequence>>& running,
                                 std::int64_t prefill_chunk, std::int64_t shared_page) {
  std::vector<StepShare> shares;
  for (const auto& sequence : running) {
    if (sequence->pending() == 1) shares.push_back({sequence.get(), 1});
  }
  for (const auto& sequence : running) {
    if (sequence->pending() <= 1) continue;
    const std::int64_t count = std::min(sequence->pending(), prefill_chunk);
    if (count == 0) break;
    const auto computes_for_it = [&](const StepShare& ahead) {
      return shared_page > 0 && ahead.count > 1 && ahead.sequence->generates() && sequence->generates() &&
             shared_beginning(*ahead.sequence, *sequence, shared_page) >
                 std::max(sequence->cached, ahead.sequence->cached);
    };
    if (std::ranges::any_of(shares, computes_for_it)) continue;
    shares.push_back({sequence.get(), count});
    prefill_chunk -= count;
  }
  return shares;
}

std::int64_t predicted_tokens(const Sequence& sequence, double typical, std::int64_t context) {
  const auto now = static_cast<std::int64_t>(sequence.tokens.size());
  if (!sequence.generates()) return now;
  std::int64_t left = std::max<std::int64_t>(0, sequence.request.max_tokens - sequence.generated);
  if (typical > 0.0)
    left = std::min(left, std::max<std::int64_t>(1, std::llround(typical) - sequence.generated));
  return std::min(context, now + left);
}

}  // namespace stepdown::runtime
