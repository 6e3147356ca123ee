#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "engine/model/leading.h"
#include "engine/runtime/engine.h"

namespace stepdown::runtime {

/// Chooses one sequence's next tokens. Order: penalties and bias, mask, temperature, min-p, top-k, top-p.
/// Penalties count generated tokens, as OpenAI's API defines them. Equal seeds and logits give equal tokens.
/// A draw goes through the candidates from the likeliest on, so that few of them decide most draws.
class Sampler {
 public:
  explicit Sampler(const Sampling& sampling);
  /// One that goes on from here by the same random numbers.
  Sampler fork() const;

  /// `mask`: one bit a token as TokenConstraint::fill_mask gives it; empty: all allowed.
  /// −1 when the mask allows none.
  TokenId choose(std::span<const float> logits, std::span<const std::uint32_t> mask);
  /// The same token from the leading ones of `vocab` logits. Nothing where they do not decide it: then the
  /// whole row is to follow, which is drawn from by the same random number.
  std::optional<TokenId> choose(const model::LeadingLogits& leading, std::size_t vocab,
                                std::span<const std::uint32_t> mask);
  /// Whether the whole row is needed whatever leads in it.
  bool adjusts() const { return !counts_.empty() || !sampling_.logit_bias.empty(); }
  float temperature() const { return sampling_.temperature; }
  /// Counts a generated token.
  void accept(TokenId token);

 private:
  using Candidate = std::pair<float, TokenId>;  ///< (logit − highest) / temperature
  /// What the candidates' weights come to, those that are not known included.
  struct Mass {
    double least, most;
    bool exact() const { return least == most; }
  };
  float least_scaled() const;
  void collect(std::span<const float> logits, std::span<const std::uint32_t> mask);
  Mass settle(const model::LeadingLogits& leading, std::size_t vocab, bool masked);
  const Candidate* likeliest(std::size_t index);
  std::optional<std::size_t> nucleus(Mass total);
  std::optional<TokenId> draw(Mass total);

  Sampling sampling_;
  std::map<TokenId, std::int32_t> counts_;
  std::mt19937_64 random_;
  std::optional<double> unit_;  ///< drawn for a choice that is not made yet
  std::vector<float> adjusted_;
  std::vector<Candidate> candidates_;
  std::size_t sorted_ = 0;  ///< of them, the likeliest
};

/// The `count` most likely tokens with their log-probabilities, best first.
std::vector<std::pair<TokenId, float>> most_likely(std::span<const float> logits, float log_sum,
                                                   std::int32_t count);

}  // namespace stepdown::runtime
