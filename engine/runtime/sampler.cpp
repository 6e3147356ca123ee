#include "engine/runtime/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace stepdown::runtime {
namespace {

// Below e⁻³⁰ of the best token's weight, less than the generator's resolution for any vocabulary: not worth
// sorting.
constexpr float kNegligible = 30.0f;

// Calls visit(token) for every allowed token.
template <class Visit>
void each_allowed(std::size_t vocab, std::span<const std::uint32_t> mask, const Visit& visit) {
  if (mask.empty()) {
    for (std::size_t i = 0; i < vocab; ++i) visit(i);
    return;
  }
  for (std::size_t word = 0; word < mask.size(); ++word) {
    for (std::uint32_t bits = mask[word]; bits != 0; bits &= bits - 1) {
      const std::size_t token = word * 32 + static_cast<std::size_t>(std::countr_zero(bits));
      if (token < vocab) visit(token);
    }
  }
}

TokenId best_of(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  TokenId best = -1;
  float highest = -std::numeric_limits<float>::infinity();
  each_allowed(logits.size(), mask, [&](std::size_t token) {
    if (best >= 0 && !(logits[token] > highest)) return;
    best = static_cast<TokenId>(token);
    highest = logits[token];
  });
  return best;
}

bool likelier(const std::pair<float, TokenId>& a, const std::pair<float, TokenId>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

}  // namespace

Sampler::Sampler(const Sampling& sampling) : sampling_(sampling), random_(sampling.seed) {}

Sampler Sampler::fork() const {
  Sampler other(sampling_);
  other.counts_ = counts_;
  other.random_ = random_;
  return other;
}

void Sampler::accept(TokenId token) {
  if (sampling_.presence_penalty != 0.0f || sampling_.frequency_penalty != 0.0f) ++counts_[token];
}

TokenId Sampler::choose(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  if (!counts_.empty() || !sampling_.logit_bias.empty()) {
    adjusted_.assign(logits.begin(), logits.end());
    for (const auto& [token, count] : counts_) {
      adjusted_[static_cast<std::size_t>(token)] -=
          sampling_.presence_penalty + sampling_.frequency_penalty * static_cast<float>(count);
    }
    for (const auto& [token, bias] : sampling_.logit_bias) {
      if (token >= 0 && static_cast<std::size_t>(token) < adjusted_.size()) {
        adjusted_[static_cast<std::size_t>(token)] += bias;
      }
    }
    logits = adjusted_;
  }
  if (sampling_.temperature <= 0.0f) return best_of(logits, mask);
  collect(logits, mask);
  return candidates_.empty() ? -1 : draw();
}

// Tokens with a noticeable probability, best first, as logits / temperature relative to the best.
void Sampler::collect(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  candidates_.clear();
  const TokenId best = best_of(logits, mask);
  if (best < 0) return;
  const float highest = logits[static_cast<std::size_t>(best)];
  const float least =
      sampling_.min_p > 0.0f ? std::max(-kNegligible, std::log(sampling_.min_p)) : -kNegligible;
  each_allowed(logits.size(), mask, [&](std::size_t token) {
    const float scaled = (logits[token] - highest) / sampling_.temperature;
    if (scaled >= least) candidates_.emplace_back(scaled, static_cast<TokenId>(token));
  });
  if (candidates_.empty()) candidates_.emplace_back(0.0f, best);  // all are −∞, or min_p is above 1
  const auto wanted = static_cast<std::size_t>(std::max(sampling_.top_k, 0));
  if (wanted > 0 && wanted < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + sampling_.top_k, candidates_.end(), likelier);
    candidates_.resize(wanted);
  }
  if (sampling_.top_p < 1.0f) std::sort(candidates_.begin(), candidates_.end(), likelier);
}

TokenId Sampler::draw() {
  double total = 0.0;
  for (Candidate& candidate : candidates_) total += candidate.first = std::exp(candidate.first);
  if (sampling_.top_p < 1.0f) {
    double kept = 0.0;
    std::size_t count = 0;
    while (count < candidates_.size() &&
           (count == 0 || kept < static_cast<double>(sampling_.top_p) * total)) {
      kept += static_cast<double>(candidates_[count++].first);
    }
    candidates_.resize(count);
    total = kept;
  }
  const double unit = static_cast<double>(random_() >> 11) * 0x1p-53;  // the same on every platform
  double left = unit * total;
  for (const Candidate& candidate : candidates_) {
    left -= static_cast<double>(candidate.first);
    if (left < 0.0) return candidate.second;
  }
  return candidates_.back().second;
}

std::vector<std::pair<TokenId, float>> most_likely(std::span<const float> logits, float log_sum,
                                                   std::int32_t count) {
  const auto wanted = std::min(static_cast<std::size_t>(std::max(count, 0)), logits.size());
  std::vector<std::pair<float, TokenId>> best;
  for (std::size_t i = 0; wanted > 0 && i < logits.size(); ++i) {
    if (best.size() == wanted && !(logits[i] > best.back().first)) continue;
    if (best.size() == wanted) best.pop_back();
    const std::pair<float, TokenId> entry(logits[i], static_cast<TokenId>(i));
    best.insert(std::upper_bound(best.begin(), best.end(), entry, likelier), entry);
  }
  std::vector<std::pair<TokenId, float>> out;
  for (const auto& [logit, token] : best) out.emplace_back(token, logit - log_sum);
  return out;
}

}  // namespace stepdown::runtime
