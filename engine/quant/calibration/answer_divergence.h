#pragma once

#include <cstdint>
#include <vector>

#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// KL divergence of changed models' answers from the exact model's, from logits that come some columns of the
/// vocabulary at a time: whole rows of all models would take more than the models' blocks.
class AnswerDivergence {
 public:
  AnswerDivergence(std::int64_t tokens, std::size_t models);

  /// The exact model's next columns, [tokens][columns]; then those of each changed model.
  void add_exact(Matrix logits);
  void add_changed(std::size_t model, const Matrix& logits);

  /// Nats a token, mean over the tokens. `model` must have had the same columns as the exact one.
  double mean(std::size_t model) const;

 private:
  /// Σ exp(logit − largest), with the largest so far.
  struct Sum {
    float largest;
    double total = 0;
    /// Makes room for a larger logit; returns what earlier terms are multiplied by.
    double raise(float largest_of_columns);
  };
  struct Changed {
    std::vector<Sum> sums;
    std::vector<double> distance;  ///< Σ exp(exact − largest exact) · (exact − changed)
  };

  Matrix exact_;
  Matrix weights_;               ///< exp(exact − largest exact)
  std::vector<double> rescale_;  ///< what a token's earlier terms of distance are multiplied by
  std::vector<Sum> sums_;
  std::vector<Changed> changed_;
};

}  // namespace stepdown::quant
