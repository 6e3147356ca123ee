#include "engine/runtime/measure_rows.h"

#include <algorithm>
#include <cmath>

namespace stepdown::runtime {
namespace {

void finish(Sequence& sequence) {
  sequence.result_promise.set_value(std::move(sequence.result));
  sequence.finished = true;
}

void score(Sequence& sequence, StepRows step, const MeasureTools& tools) {
  constexpr std::int64_t kAtOnce = 64;  // rows of logits held
  const std::int64_t vocab = tools.vocab;
  const std::int64_t last = static_cast<std::int64_t>(sequence.tokens.size()) - 1;
  for (std::int64_t done = 0; done < step.count; done += kAtOnce) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = done; i < std::min(step.count, done + kAtOnce) && sequence.cached + i < last; ++i)
      rows.push_back(step.first + i);
    tools.logits.resize(std::max(tools.logits.size(), rows.size() * static_cast<std::size_t>(vocab)));
    tools.decoder.logits(rows, tools.logits.data());
    const std::size_t known = sequence.result.size();
    sequence.result.resize(known + rows.size());
    tools.pool.each(static_cast<std::int64_t>(rows.size()), [&](std::int64_t row, int /*worker*/) {
      const float* logits = tools.logits.data() + row * vocab;
      const std::size_t at = known + static_cast<std::size_t>(row);
      const kernels::Distribution distribution = tools.operations.summarize(logits, vocab);
      sequence.result[at] =
          distribution.finite ? logits[sequence.tokens[at + 1]] - distribution.log_sum : std::nanf("");
    });
  }
  if (sequence.cached + step.count > last) finish(sequence);
}

void embed(Sequence& sequence, StepRows step, const MeasureTools& tools) {
  std::vector<float> row(static_cast<std::size_t>(tools.hidden));
  sequence.result.resize(row.size());
  for (std::int64_t i = 0; i < step.count; ++i) {
    tools.decoder.hidden(step.first + i, row.data());
    for (std::size_t k = 0; k < row.size(); ++k) sequence.result[k] += row[k];
  }
  if (sequence.cached + step.count < static_cast<std::int64_t>(sequence.tokens.size())) return;
  double squares = 0.0;
  for (const float value : sequence.result)
    squares += static_cast<double>(value) * static_cast<double>(value);
  for (float& value : sequence.result)
    value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
  finish(sequence);
}

}  // namespace

void measure_rows(Sequence& sequence, StepRows rows, const MeasureTools& tools) {
  if (sequence.purpose == Purpose::kScore) return score(sequence, rows, tools);
  embed(sequence, rows, tools);
}

}  // namespace stepdown::runtime
