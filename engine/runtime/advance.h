#pragma once

#include "engine/kernels/operations.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// Where the logits of one sequence's rows lie, and what bounds its answer.
struct StepLogits {
  const kernels::Operations& operations;
  const tokenizer::Tokenizer& tokenizer;
  const float* rows;  ///< [1 + draft][vocab]
  std::int64_t vocab;
  std::int64_t context;
};

/// Chooses the sequence's next tokens from this step's logits, as if there had been one step for each: a
/// drafted token counts only when it is the very one chosen, so that drafts change the time and nothing else.
/// Leaves the events in the sequence; returns how many drafted tokens held.
std::int64_t advance(Sequence& sequence, const StepLogits& logits);

}  // namespace stepdown::runtime
