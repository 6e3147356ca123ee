#include "engine/eval/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/base/error.h"
#include "engine/eval/statistics.h"
#include "engine/model/decoder.h"

namespace stepdown::eval {
namespace {

using tokenizer::TokenId;

constexpr std::int64_t kStep = 64;  // tokens both models run before their logits are compared

/// One model with a cache for one sequence.
class Runner {
 public:
  Runner(const formats::ModelFile& file, std::int64_t context, model::KvType kv_type,
         kernels::ThreadPool& pool)
      : vocab_(file.config().vocab),
        pages_(static_cast<std::size_t>((context + model::KvCache::kPageTokens - 1) /
                                        model::KvCache::kPageTokens)),
        decoder_(model::make_decoder(file,
                                     {.context = context,
                                      .max_rows = kStep,
                                      .kv_pages = static_cast<std::int64_t>(pages_.size()),
                                      .kv_type = kv_type},
                                     pool)),
        logits_(static_cast<std::size_t>(kStep * vocab_)) {
    std::iota(pages_.begin(), pages_.end(), 0);
  }

  void run(std::span<const TokenId> tokens, std::int64_t position) {
    const model::SequenceSlice slice{tokens, position, pages_};
    decoder_->forward({&slice, 1});
    std::vector<std::int64_t> rows(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    decoder_->logits(rows, logits_.data());
  }

  std::span<const float> row(std::size_t index) const {
    const auto width = static_cast<std::size_t>(vocab_);
    return std::span(logits_).subspan(index * width, width);
  }

 private:
  std::int64_t vocab_;
  std::vector<std::int32_t> pages_;
  std::unique_ptr<model::Decoder> decoder_;
  std::vector<float> logits_;
};

/// log Σ exp; NaN when a logit is not finite.
double log_sum(std::span<const float> logits) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

}  // namespace

double divergence_of(std::span<const float> reference, std::span<const float> candidate) {
  const double reference_sum = log_sum(reference);
  const double candidate_sum = log_sum(candidate);
  double divergence = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_sum;
    divergence += std::exp(log_p) * (log_p - (candidate[i] - candidate_sum));
  }
  return std::isfinite(divergence) ? std::max(0.0, divergence) : std::numeric_limits<double>::infinity();
}

Divergence measure_divergence(const formats::ModelFile& candidate, const formats::ModelFile& reference,
                              std::span<const SampleTokens> sequences, const DivergenceOptions& options) {
  if (candidate.config().vocab != reference.config().vocab) {
    throw InputError("the two models' vocabularies differ", "--reference",
                     "give the model that was quantized");
  }
  kernels::ThreadPool pool(options.threads > 0 ? options.threads : kernels::usable_processors());
  Runner ours(candidate, options.context, options.kv_type, pool);
  Runner theirs(reference, options.context, model::KvType::kF16, pool);
  std::vector<double> divergences;
  std::int64_t agreed = 0;
  for (const SampleTokens& sequence : sequences) {
    const std::size_t length = std::min(sequence.tokens.size(), static_cast<std::size_t>(options.context));
    for (std::size_t start = 0; start < length; start += kStep) {
      const auto step =
          std::span(sequence.tokens).subspan(start, std::min<std::size_t>(kStep, length - start));
      ours.run(step, static_cast<std::int64_t>(start));
      theirs.run(step, static_cast<std::int64_t>(start));
      for (std::size_t i = 0; i < step.size(); ++i) {
        if (start + i + 1 < sequence.counted_from || start + i + 1 >= length) continue;
        const auto p = theirs.row(i);
        const auto q = ours.row(i);
        divergences.push_back(divergence_of(p, q));
        if (std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin()) ++agreed;
      }
    }
    if (options.on_sequence) options.on_sequence();
  }
  const auto count = static_cast<std::int64_t>(divergences.size());
  return {mean(divergences), quantile(divergences, 0.99),
          count == 0 ? 0.0 : static_cast<double>(agreed) / static_cast<double>(count), count};
}

}  // namespace stepdown::eval
