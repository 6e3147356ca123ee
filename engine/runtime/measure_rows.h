#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/operations.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/decoder.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// Rows of the decoder's last step.
struct StepRows {
  std::int64_t first, count;
};

struct MeasureTools {
  model::Decoder& decoder;
  kernels::ThreadPool& pool;
  const kernels::Operations& operations;
  std::vector<float>& logits;  ///< scratch
  std::int64_t vocab, hidden;
};

/// Adds to the result of a sequence that scores or embeds what its rows of this step tell: log-probabilities
/// of the tokens that follow each, or the mean of all last hidden states, of length 1. Answers and finishes
/// the sequence behind its last row. `sequence.cached` counts the tokens before `rows` still.
void measure_rows(Sequence& sequence, StepRows rows, const MeasureTools& tools);

}  // namespace stepdown::runtime
