#include "engine/eval/sequence_runner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace stepdown::eval {
namespace {

constexpr std::int64_t kPage = model::KvCache::kPageTokens;

}  // namespace

SequenceRunner::SequenceRunner(const formats::ModelFile& file, std::int64_t context, const Cache& cache,
                               kernels::ThreadPool& pool)
    : vocab_(file.config().vocab),
      pages_(static_cast<std::size_t>((context + kPage - 1) / kPage)),
      decoder_(model::make_decoder(file,
                                   {.context = context,
                                    .max_rows = kStep,
                                    .kv_pages = static_cast<std::int64_t>(pages_.size()),
                                    .kv_type = cache.type,
                                    .f16_kv_layers = cache.f16_layers,
                                    .probe = cache.probe},
                                   pool)),
      logits_(static_cast<std::size_t>(kStep * vocab_)) {
  std::iota(pages_.begin(), pages_.end(), 0);
}

void SequenceRunner::run(std::span<const tokenizer::TokenId> tokens, std::int64_t position) {
  const model::SequenceSlice slice{tokens, position, pages_};
  decoder_->forward({&slice, 1});
  std::vector<std::int64_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  decoder_->logits(rows, logits_.data());
}

std::span<const float> SequenceRunner::row(std::size_t index) const {
  const auto width = static_cast<std::size_t>(vocab_);
  return std::span(logits_).subspan(index * width, width);
}

double log_sum(std::span<const float> logits) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

}  // namespace stepdown::eval
