#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/eval/dataset.h"
#include "engine/eval/statistics.h"
#include "engine/tokenizer/chat_encoder.h"

namespace stepdown::eval {

/// Natural-log probability of each token after the first, given those before it (runtime::Engine::score).
using Scorer = std::function<std::vector<float>(std::span<const tokenizer::TokenId>)>;

/// A running mean of negative log-likelihoods. Non-finite terms make the perplexity infinite, never smaller.
class PerplexityMeter {
 public:
  /// One text's.
  void add(std::span<const float> logprobs);
  std::int64_t tokens() const { return total(texts_).tokens; }
  /// Negative log-likelihoods, nats, of what was added, text by text.
  const std::vector<TokenSum>& texts() const { return texts_; }
  double perplexity() const;
  /// The same over other units than tokens: words or bytes of the text.
  double perplexity_over(std::int64_t units) const;

 private:
  std::vector<TokenSum> texts_;
};

/// A sample as tokens, prompt then reference answer, at most `context` of them, and where the counted ones
/// begin: those of the answer, or without one all after the first.
struct SampleTokens {
  std::vector<tokenizer::TokenId> tokens;
  std::size_t counted_from = 1;
};
SampleTokens tokens_of(const tokenizer::ChatEncoder& encoder, const Sample& sample, std::int64_t context);

/// Perplexity of the reference answer given its prompt; where a sample has none, of the prompt itself.
/// Samples longer than `context` are cut at its end.
void add_sample(PerplexityMeter& meter, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                const Sample& sample, std::int64_t context);

/// llama.cpp's convention (tools/perplexity): chunks of `context` tokens, BOS in place of each chunk's first
/// token when the model wants one, the second half of each chunk counted.
void add_text(PerplexityMeter& meter, const Scorer& score, const tokenizer::Tokenizer& tokenizer,
              std::string_view text, std::int64_t context, const std::function<void()>& on_chunk);

/// lm-eval's convention (loglikelihood_rolling): disjoint windows that predict `context` tokens each, behind
/// the token before them, or `prefix` before the first; the last window is filled up with what comes before
/// it. Every token counts once.
void add_rolling_text(PerplexityMeter& meter, const Scorer& score, const tokenizer::Tokenizer& tokenizer,
                      std::string_view text, tokenizer::TokenId prefix, std::int64_t context,
                      const std::function<void()>& on_window);
/// The words of a text as lm-eval counts them: what Python's re.split(r"\s+", text) gives.
std::int64_t words_of(std::string_view text);

/// How the model does at the end of a full context: prompts and answers packed one after the other to
/// `context` tokens; the last quarter counts. At most `windows` windows.
void add_long_context(PerplexityMeter& meter, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                      std::span<const Sample> samples, std::int64_t context, std::int64_t windows);

}  // namespace stepdown::eval
