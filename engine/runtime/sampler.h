#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "engine/runtime/engine.h"

namespace stepdown::runtime {

/// Chooses one sequence's next tokens. Order: penalties and bias, mask, temperature, min-p, top-k, top-p.
/// Penalties count generated tokens, as OpenAI's API defines them. Equal seeds and logits give equal tokens.
class Sampler {
 public:
  explicit Sampler(const Sampling& sampling);
  /// One that goes on from here by the same random numbers.
  Sampler fork() const;

  /// `mask`: one bit a token as TokenConstraint::fill_mask gives it; empty: all allowed.
  /// −1 when the mask allows none.
  TokenId choose(std::span<const float> logits, std::span<const std::uint32_t> mask);
  /// Counts a generated token.
  void accept(TokenId token);

 private:
  using Candidate = std::pair<float, TokenId>;
  void collect(std::span<const float> logits, std::span<const std::uint32_t> mask);
  TokenId draw();

  Sampling sampling_;
  std::map<TokenId, std::int32_t> counts_;
  std::mt19937_64 random_;
  std::vector<float> adjusted_;
  std::vector<Candidate> candidates_;
};

/// The `count` most likely tokens with their log-probabilities, best first.
std::vector<std::pair<TokenId, float>> most_likely(std::span<const float> logits, float log_sum,
                                                   std::int32_t count);

}  // namespace stepdown::runtime
