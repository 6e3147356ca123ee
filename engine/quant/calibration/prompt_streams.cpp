#include "engine/quant/calibration/prompt_streams.h"

#include <algorithm>
#include <utility>

namespace stepdown::quant {
namespace {

/// Whether advance() reads what stands at this place: an expert's inputs are gathered anew.
bool leads_on(Place place) {
  return place.expert == Place::kNoExpert &&
         (place.stage == Stage::kAttentionOutput || place.stage == Stage::kFeedForwardOutput);
}

std::int64_t bytes_of(const Matrix& matrix) {
  return static_cast<std::int64_t>(matrix.values.size() * sizeof(float));
}

}  // namespace

PromptStreams::PromptStreams(std::vector<Matrix> streams, std::int64_t tokens_together,
                             std::int64_t kept_bytes)
    : kept_bytes_(kept_bytes) {
  for (std::size_t first = 0; first < streams.size();) {
    Batch batch;
    std::int64_t tokens = 0;
    std::size_t end = first;
    for (; end < streams.size(); ++end) {
      const std::int64_t count = streams[end].rows;
      if (end > first && tokens + count > tokens_together) break;
      batch.lengths.push_back(count);
      tokens += count;
    }
    batch.rows = Matrix(tokens, streams[first].columns);
    float* to = batch.rows.values.data();
    for (; first < end; ++first) {
      to = std::ranges::copy(std::exchange(streams[first].values, {}), to).out;
    }
    batches_.push_back(std::move(batch));
  }
}

StageInputs PromptStreams::observe(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                                   bool with_gram) const {
  Observer observer(with_gram);
  for (const Batch& batch : batches_) see(pool, block, place, batch, observer);
  return observer.result();
}

StageInputs PromptStreams::observe_and_keep(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                                            bool with_gram) {
  kept_.clear();
  bool keep = leads_on(place);
  std::int64_t bytes = 0;
  Observer observer(with_gram);
  for (const Batch& batch : batches_) {
    Matrix inputs = see(pool, block, place, batch, observer);
    bytes += bytes_of(inputs);
    keep = keep && bytes <= kept_bytes_;
    if (keep) kept_.push_back(std::move(inputs));
  }
  return observer.result();
}

Matrix PromptStreams::see(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                          const Batch& batch, Observer& observer) {
  Matrix inputs = block.inputs(pool, place, batch.rows, batch.lengths);
  // An expert's rows are no longer told apart by prompt.
  observer.add(pool, inputs, place.expert == Place::kNoExpert ? Lengths(batch.lengths) : Lengths());
  return inputs;
}

void PromptStreams::advance(kernels::ThreadPool& pool, const DecoderBlock& block, Stage stage) {
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = batches_[i];
    if (i < kept_.size()) {
      block.add_output(pool, stage, kept_[i], batch.rows);
      kept_[i] = {};
    } else {
      block.advance(pool, stage, batch.rows, batch.lengths);
    }
  }
  kept_.clear();
}

}  // namespace stepdown::quant
