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
// More than sums of weights differ by, in whatever order.
constexpr double kRounding = 1e-9;

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

bool allowed(std::span<const std::uint32_t> mask, TokenId token) {
  return mask.empty() || (mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1u) != 0;
}

double weight_of(const std::pair<float, TokenId>& candidate) {
  return static_cast<double>(std::exp(candidate.first));
}

double weight_of(std::span<const std::pair<float, TokenId>> candidates) {
  double total = 0.0;
  for (const auto& candidate : candidates) total += weight_of(candidate);
  return total;
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
  if (adjusts()) {
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
  if (candidates_.empty()) return -1;
  const double total = weight_of(candidates_);
  return *draw({total, total});
}

std::optional<TokenId> Sampler::choose(const model::LeadingLogits& leading, std::size_t vocab,
                                       std::span<const std::uint32_t> mask) {
  if (adjusts() || !leading.distribution.finite || leading.count == 0) return std::nullopt;
  candidates_.clear();
  for (const auto& [logit, token] : leading.best()) {
    if (allowed(mask, token)) candidates_.emplace_back(logit, token);
  }
  if (candidates_.empty()) return leading.best().size() == vocab ? std::optional<TokenId>(-1) : std::nullopt;
  if (sampling_.temperature <= 0.0f) return candidates_.front().second;
  const Mass total = settle(leading, vocab, !mask.empty());
  return draw(total);
}

float Sampler::least_scaled() const {
  return sampling_.min_p > 0.0f ? std::max(-kNegligible, std::log(sampling_.min_p)) : -kNegligible;
}

// Tokens with a noticeable probability, as logits / temperature relative to the best.
void Sampler::collect(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  candidates_.clear();
  sorted_ = 0;
  const TokenId best = best_of(logits, mask);
  if (best < 0) return;
  const float highest = logits[static_cast<std::size_t>(best)];
  const float least = least_scaled();
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
}

// Makes of the leading allowed tokens the likeliest candidates, as collect() and a sort of all would give
// them, and bounds what all candidates weigh together.
Sampler::Mass Sampler::settle(const model::LeadingLogits& leading, std::size_t vocab, bool masked) {
  const float highest = candidates_.front().first;
  const float temperature = sampling_.temperature;
  const Candidate best(0.0f, candidates_.front().second);
  const float least = least_scaled();
  // No token that is not known lies above the last one.
  const float last = (leading.best().back().logit - highest) / temperature;
  for (Candidate& candidate : candidates_) candidate.first = (candidate.first - highest) / temperature;
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.first < least; });
  if (candidates_.empty()) candidates_.push_back(best);
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  bool all_known = leading.best().size() == vocab || last < least;
  double known = weight_of(candidates_);
  if (!all_known) {  // among the last's equals there may be others
    while (!candidates_.empty() && !(candidates_.back().first > last)) candidates_.pop_back();
  }
  const auto wanted = static_cast<std::size_t>(std::max(sampling_.top_k, 0));
  if (wanted > 0 && wanted <= candidates_.size()) {
    candidates_.resize(wanted);
    all_known = true;
    known = weight_of(candidates_);
  }
  sorted_ = candidates_.size();
  if (all_known) return {known * (1.0 - kRounding), known * (1.0 + kRounding)};
  const auto relative = [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(leading.distribution.maximum)) /
                    static_cast<double>(temperature));
  };
  double listed = 0.0;
  for (const model::LeadingToken& one : leading.best()) listed += relative(one.logit);
  const auto mass = static_cast<double>(leading.mass);
  const double error = model::LeadingLogits::kMassError;
  const double rest_least = std::max(0.0, mass * (1.0 - error) - listed) / relative(highest);
  const double rest_most = std::max(0.0, mass * (1.0 + error) - listed) / relative(highest);
  // Of the others, mask, min_p and top_k may leave none.
  const bool all_count = !masked && sampling_.min_p <= 0.0f && wanted == 0;
  return {known * (1.0 - kRounding) + (all_count ? rest_least : 0.0), known * (1.0 + kRounding) + rest_most};
}

// Null behind the last that is known.
const Sampler::Candidate* Sampler::likeliest(std::size_t index) {
  constexpr std::size_t kRun = 64;  // most draws end among so many
  if (index >= candidates_.size()) return nullptr;
  if (index >= sorted_) {
    const auto from = candidates_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    sorted_ = std::min(candidates_.size(), std::max(kRun, 4 * sorted_));
    std::partial_sort(from, candidates_.begin() + static_cast<std::ptrdiff_t>(sorted_), candidates_.end(),
                      likelier);
  }
  return &candidates_[index];
}

// How many of the likeliest come to top_p of all; nothing where what is known does not decide it.
std::optional<std::size_t> Sampler::nucleus(Mass total) {
  const auto part = static_cast<double>(sampling_.top_p);
  double kept = 0.0;
  std::size_t count = 0;
  for (; count == 0 || kept < part * total.most; ++count) {
    if (count > 0 && kept >= part * total.least) return std::nullopt;
    const Candidate* const next = likeliest(count);
    if (next == nullptr) return total.exact() ? std::optional(count) : std::nullopt;
    kept += weight_of(*next);
  }
  return count;
}

std::optional<TokenId> Sampler::draw(Mass total) {
  if (sampling_.top_p < 1.0f) {
    const std::optional<std::size_t> count = nucleus(total);
    if (!count) return std::nullopt;
    candidates_.resize(*count);
    const double kept = weight_of(candidates_);
    total = {kept, kept};
  }
  if (!unit_) unit_ = static_cast<double>(random_() >> 11) * 0x1p-53;  // the same on every platform
  double least = *unit_ * total.least;
  double most = *unit_ * total.most;
  std::optional<TokenId> token;
  for (std::size_t i = 0; const Candidate* const next = likeliest(i); ++i) {
    least -= weight_of(*next);
    most -= weight_of(*next);
    if (most < 0.0 || (total.exact() && i + 1 == candidates_.size())) {
      token = next->second;
      break;
    }
    if (least < 0.0) break;
  }
  if (token) unit_.reset();
  return token;
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
