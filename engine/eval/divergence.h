#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/eval/perplexity.h"
#include "engine/eval/statistics.h"
#include "engine/formats/model_file.h"
#include "engine/model/kv_type.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::eval {

/// How far two models' next-token distributions lie apart over the same tokens.
struct Divergence {
  double mean = 0;  ///< Kullback–Leibler divergence from the reference, nats a token
  double p99 = 0;
  double top_agreement = 0;  ///< share of tokens whose likeliest continuation is the same
  std::int64_t tokens = 0;
  Interval mean_interval = {};  ///< 95 %, over the sequences
  Interval agreement_interval = {};
};

struct DivergenceOptions {
  std::int64_t context = 0;                      ///< longer sequences are cut
  model::KvType kv_type = model::KvType::kF16;   ///< of the candidate; the reference's is F16
  std::vector<std::int64_t> f16_kv_layers = {};  ///< that keep binary16 whatever kv_type says
  int threads = 0;
  std::function<void()> on_sequence;  ///< for progress
};

/// Runs both models side by side over every sequence; the distributions that predict its counted tokens are
/// compared. Throws InputError when their vocabularies differ.
Divergence measure_divergence(const formats::ModelFile& candidate, const formats::ModelFile& reference,
                              std::span<const SampleTokens> sequences, const DivergenceOptions& options);

/// KL(p‖q) in nats of two rows of logits; infinite when one of them is not finite.
double divergence_of(std::span<const float> reference, std::span<const float> candidate);

}  // namespace stepdown::eval
