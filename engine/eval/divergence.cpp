#include "engine/eval/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/error.h"
#include "engine/eval/sequence_runner.h"

namespace stepdown::eval {

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
  SequenceRunner ours(candidate, options.context, {options.kv_type, options.f16_kv_layers}, pool);
  SequenceRunner theirs(reference, options.context, {}, pool);
  constexpr auto kStep = static_cast<std::size_t>(SequenceRunner::kStep);
  std::vector<double> divergences;
  std::vector<TokenSum> sums, agreements;  // by sequence
  for (const SampleTokens& sequence : sequences) {
    TokenSum sum, agreed;
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
        sum.sum += divergences.back();
        if (std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin()) ++agreed.sum;
        ++sum.tokens;
      }
    }
    agreed.tokens = sum.tokens;
    sums.push_back(sum);
    agreements.push_back(agreed);
    if (options.on_sequence) options.on_sequence();
  }
  const TokenSum agreed = total(agreements);
  return {.mean = mean(divergences),
          .p99 = quantile(divergences, 0.99),
          .top_agreement = agreed.tokens == 0 ? 0.0 : agreed.sum / static_cast<double>(agreed.tokens),
          .tokens = agreed.tokens,
          .mean_interval = token_mean_interval(sums),
          .agreement_interval = token_mean_interval(agreements)};
}

}  // namespace stepdown::eval
