#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/kernels/operations.h"

namespace stepdown::model {

struct LeadingToken {
  float logit;
  std::int32_t token;
};

/// What most choices of a next token need of a row of logits: some hundred bytes in place of the row.
struct LeadingLogits {
  static constexpr std::int32_t kMost = 64;
  /// `mass` is that sum to within this part of it.
  static constexpr double kMassError = 1e-4;

  kernels::Distribution distribution;
  float mass;          ///< Σ exp((logit − maximum) / temperature) over all tokens; 0 at temperature 0
  std::int32_t count;  ///< of `tokens`: all that there are, or kMost; 0: they were not found
  std::array<LeadingToken, kMost> tokens;  ///< the likeliest, best first, of equal ones the lower first

  std::span<const LeadingToken> best() const {
    return std::span(tokens).first(static_cast<std::size_t>(count));
  }
};

/// A row whose leading logits are asked for.
struct LeadingQuery {
  std::int64_t row;
  float temperature;
};

}  // namespace stepdown::model
