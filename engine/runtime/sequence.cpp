#include "engine/runtime/sequence.h"

#include <algorithm>

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

}  // namespace stepdown::runtime
