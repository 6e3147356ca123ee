#include "engine/quant/calibration/prompt_streams.h"

#include <algorithm>
#include <numeric>
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

std::vector<std::size_t> prompts_together(std::span<const std::int64_t> lengths,
                                          std::int64_t tokens_together) {
  std::vector<std::size_t> counts;
  std::int64_t tokens = 0;
  for (const std::int64_t length : lengths) {
    if (counts.empty() || tokens + length > tokens_together) {
      counts.push_back(0);
      tokens = 0;
    }
    ++counts.back();
    tokens += length;
  }
  return counts;
}

PromptStreams::PromptStreams(const formats::ModelFile& model, const CalibrationSet& prompts) {
  join(prompts.lengths(), kTokensTogether, [&](std::size_t index) { return prompts.stream(model, index); });
}

PromptStreams::PromptStreams(std::vector<Matrix> streams, std::int64_t tokens_together,
                             std::int64_t kept_bytes)
    : kept_bytes_(kept_bytes) {
  std::vector<std::int64_t> lengths;
  for (const Matrix& stream : streams) lengths.push_back(stream.rows);
  join(lengths, tokens_together, [&](std::size_t index) { return std::move(streams[index]); });
}

/// One stream is read at a time, so that all of them are never held twice.
void PromptStreams::join(std::span<const std::int64_t> lengths, std::int64_t tokens_together,
                         const std::function<Matrix(std::size_t)>& stream) {
  std::size_t first = 0;
  for (const std::size_t count : prompts_together(lengths, tokens_together)) {
    const auto own = lengths.subspan(first, count);
    Batch batch{{}, {own.begin(), own.end()}};
    Matrix each = stream(first);
    batch.rows = Matrix(std::accumulate(own.begin(), own.end(), std::int64_t{0}), each.columns);
    float* to = std::ranges::copy(each.values, batch.rows.values.data()).out;
    for (std::size_t i = 1; i < count; ++i) to = std::ranges::copy(stream(first + i).values, to).out;
    batches_.push_back(std::move(batch));
    first += count;
  }
}

std::vector<std::span<float>> PromptStreams::values() {
  std::vector<std::span<float>> all;
  for (Batch& batch : batches_) all.emplace_back(batch.rows.values);
  return all;
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
