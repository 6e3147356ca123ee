#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/eval/answerer.h"
#include "engine/eval/dataset.h"
#include "engine/eval/perplexity.h"
#include "engine/eval/report.h"
#include "engine/eval/suite.h"
#include "engine/tokenizer/chat_encoder.h"

namespace stepdown::eval {

struct EvaluationOptions {
  std::int64_t concurrency = 1;
  std::int64_t max_tokens = 512;
  std::int64_t context = 0;
  std::function<void()> on_answer;  ///< for progress; called from one thread at a time
};

/// Asks every prompt, freely and (when a suite brings a schema) constrained to it, and judges with every
/// suite. Fills metrics, samples; results stand in the dataset's order whatever finishes first.
void run_suites(Report& report, Answerer& answerer, std::span<const Sample> samples,
                std::span<const std::unique_ptr<Suite>> suites, const EvaluationOptions& options);

/// Adds perplexity and longContext, for engines whose probabilities can be asked.
void run_perplexity(Report& report, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                    std::span<const Sample> samples, const EvaluationOptions& options);

}  // namespace stepdown::eval
