#include "engine/eval/perplexity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace stepdown::eval {
namespace {

using tokenizer::TokenId;
using Tokens = std::vector<TokenId>;

void append(Tokens& tokens, const Tokens& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

Tokens reference_answer(const tokenizer::Tokenizer& tokenizer, const Sample& sample) {
  if (!sample.expected) return {};
  const auto& expected = *sample.expected;
  return tokenizer.encode(expected.is_string() ? expected.get<std::string>() : expected.dump(), false);
}

}  // namespace

void PerplexityMeter::add(std::span<const float> logprobs) {
  TokenSum text{.tokens = static_cast<std::int64_t>(logprobs.size())};
  for (const float logprob : logprobs) {
    text.sum +=
        std::isfinite(logprob) ? -static_cast<double>(logprob) : std::numeric_limits<double>::infinity();
  }
  texts_.push_back(text);
}

double PerplexityMeter::perplexity() const {
  return perplexity_over(tokens());
}

double PerplexityMeter::perplexity_over(std::int64_t units) const {
  return units == 0 ? 0 : std::exp(total(texts_).sum / static_cast<double>(units));
}

SampleTokens tokens_of(const tokenizer::ChatEncoder& encoder, const Sample& sample, std::int64_t context) {
  SampleTokens result{encoder.prompt(sample.messages, sample.tools)};
  const Tokens answer = reference_answer(encoder.tokenizer(), sample);
  if (!answer.empty()) result.counted_from = std::max<std::size_t>(result.tokens.size(), 1);
  append(result.tokens, answer);
  result.tokens.resize(std::min(result.tokens.size(), static_cast<std::size_t>(context)));
  return result;
}

void add_sample(PerplexityMeter& meter, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                const Sample& sample, std::int64_t context) {
  const auto [tokens, counted_from] = tokens_of(encoder, sample, context);
  if (tokens.size() <= counted_from) return;
  const std::vector<float> logprobs = score(tokens);
  meter.add(std::span(logprobs).subspan(counted_from - 1));
}

void add_text(PerplexityMeter& meter, const Scorer& score, const tokenizer::Tokenizer& tokenizer,
              std::string_view text, std::int64_t context, const std::function<void()>& on_chunk) {
  Tokens tokens = tokenizer.encode(text, false);
  if (tokenizer.bos() >= 0) tokens.insert(tokens.begin(), tokenizer.bos());
  const auto size = static_cast<std::size_t>(context);
  for (std::size_t start = 0; start + size <= tokens.size(); start += size) {
    Tokens chunk(tokens.begin() + static_cast<std::ptrdiff_t>(start),
                 tokens.begin() + static_cast<std::ptrdiff_t>(start + size));
    if (tokenizer.bos() >= 0) chunk.front() = tokenizer.bos();
    const std::vector<float> logprobs = score(chunk);
    meter.add(std::span(logprobs).subspan(size / 2));
    on_chunk();
  }
}

void add_rolling_text(PerplexityMeter& meter, const Scorer& score, const tokenizer::Tokenizer& tokenizer,
                      std::string_view text, TokenId prefix, std::int64_t context,
                      const std::function<void()>& on_window) {
  Tokens tokens = tokenizer.encode(text, false);
  tokens.insert(tokens.begin(), prefix);
  const auto size = static_cast<std::size_t>(context);
  for (std::size_t done = 1; done < tokens.size();) {
    const std::size_t end = std::min(done + size, tokens.size());
    // A window reads `size` tokens, the last of the predicted ones not among them.
    const std::size_t begin = end > size ? std::min(done - 1, end - size - 1) : 0;
    const std::vector<float> logprobs = score(std::span(tokens).subspan(begin, end - begin));
    meter.add(std::span(logprobs).last(end - done));
    done = end;
    on_window();
  }
}

std::int64_t words_of(std::string_view text) {
  // Python's \s of what is no ASCII: separators of lines, paragraphs and widths, as UTF-8.
  static constexpr std::array<std::string_view, 19> kWide = {
      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
      "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  const auto space_at = [&](std::size_t at) -> std::size_t {
    const char c = text[at];
    if (c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f')) return 1;
    for (const std::string_view wide : kWide) {
      if (text.substr(at).starts_with(wide)) return wide.size();
    }
    return 0;
  };
  std::int64_t words = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t space = space_at(at);
    at += std::max<std::size_t>(space, 1);
    if (space == 0) continue;
    while (at < text.size() && space_at(at) > 0) at += space_at(at);
    ++words;
  }
  return words;
}

void add_long_context(PerplexityMeter& meter, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                      std::span<const Sample> samples, std::int64_t context, std::int64_t windows) {
  const auto size = static_cast<std::size_t>(context);
  Tokens window;
  for (const Sample& sample : samples) {
    if (sample.brought_by_suite) continue;
    append(window, encoder.prompt(sample.messages, sample.tools));
    append(window, reference_answer(encoder.tokenizer(), sample));
    if (window.size() < size) continue;
    window.resize(size);
    const std::vector<float> logprobs = score(window);
    meter.add(std::span(logprobs).subspan(logprobs.size() - size / 4));
    window.clear();
    if (--windows == 0) return;
  }
}

}  // namespace stepdown::eval
