#include "engine/runtime/sequence.h"

#include <algorithm>
#include <cmath>

namespace stepdown::runtime {

std::vector<StepShare> plan_step(const std::vector<std::unique_ptr<Sequence>>& running,
                                 std::int64_t prefill_chunk) {
  std::vector<StepShare> shares;
  for (const auto& sequence : running) {
    if (sequence->pending() == 1) shares.push_back({sequence.get(), 1});
  }
  for (const auto& sequence : running) {
    if (sequence->pending() <= 1) continue;
    const std::int64_t count = std::min(sequence->pending(), prefill_chunk);
    if (count == 0) break;
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
