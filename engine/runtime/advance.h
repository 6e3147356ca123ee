#pragma once

#include <span>

#include "engine/kernels/operations.h"
#include "engine/runtime/row_logits.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// Where the logits of one sequence's rows lie, and what bounds its answer.
struct StepLogits {
  const kernels::Operations& operations;
  const tokenizer::Tokenizer& tokenizer;
  std::span<const TokenRow> rows;  ///< 1 + draft
  std::int64_t vocab;
  std::int64_t context;
};

/// Chooses the sequence's next tokens from this step's logits, as if there had been one step for each: a
/// drafted token counts only when it is the very one chosen, so that drafts change the time and nothing else.
/// Leaves the events in the sequence. Where a row does not tell enough it stops, and is called again with
/// what it answered once that row, `held`, is there in full.
struct Advance {
  std::size_t held = 0;  ///< drafted tokens that were chosen
  bool done = false;
};
Advance advance(Sequence& sequence, const StepLogits& logits, Advance before = {});

}  // namespace stepdown::runtime
