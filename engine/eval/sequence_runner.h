#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/model/decoder.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::eval {

/// One model with a cache for one sequence, which is run a step at a time; every row's logits are kept.
class SequenceRunner {
 public:
  static constexpr std::int64_t kStep = 64;  ///< most tokens of a step

  /// How keys and values are kept, and who looks on.
  struct Cache {
    model::KvType type = model::KvType::kF16;
    std::vector<std::int64_t> f16_layers = {};
    model::AttentionProbe* probe = nullptr;
  };
  /// `file` and `pool` must outlive it.
  SequenceRunner(const formats::ModelFile& file, std::int64_t context, const Cache& cache,
                 kernels::ThreadPool& pool);

  /// At most kStep tokens, the first at `position`.
  void run(std::span<const tokenizer::TokenId> tokens, std::int64_t position);
  /// Logits behind a token of the last run().
  std::span<const float> row(std::size_t index) const;

 private:
  std::int64_t vocab_;
  std::vector<std::int32_t> pages_;
  std::unique_ptr<model::Decoder> decoder_;
  std::vector<float> logits_;
};

/// log Σ exp; NaN when a logit is not finite.
double log_sum(std::span<const float> logits);

}  // namespace stepdown::eval
