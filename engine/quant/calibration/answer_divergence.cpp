#include "engine/quant/calibration/answer_divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace stepdown::quant {

double AnswerDivergence::Sum::raise(float largest_of_columns) {
  if (largest_of_columns <= largest) return 1.0;
  const double factor = std::exp(static_cast<double>(largest) - static_cast<double>(largest_of_columns));
  largest = largest_of_columns;
  total *= factor;
  return factor;
}

AnswerDivergence::AnswerDivergence(std::int64_t tokens, std::size_t models)
    : rescale_(static_cast<std::size_t>(tokens)),
      sums_(rescale_.size(), Sum{-std::numeric_limits<float>::infinity()}),
      changed_(models, Changed{sums_, std::vector<double>(rescale_.size())}) {}

void AnswerDivergence::add_exact(Matrix logits) {
  exact_ = std::move(logits);
  weights_ = exact_;
  for (std::int64_t token = 0; token < exact_.rows; ++token) {
    const std::span<float> weights = weights_.row_span(token);
    Sum& sum = sums_[static_cast<std::size_t>(token)];
    rescale_[static_cast<std::size_t>(token)] = sum.raise(std::ranges::max(weights));
    for (float& x : weights) {
      x = std::exp(x - sum.largest);
      sum.total += static_cast<double>(x);
    }
  }
}

void AnswerDivergence::add_changed(std::size_t model, const Matrix& logits) {
  Changed& changed = changed_[model];
  for (std::int64_t token = 0; token < logits.rows; ++token) {
    const auto at = static_cast<std::size_t>(token);
    const std::span<const float> row = logits.row_span(token);
    Sum& sum = changed.sums[at];
    sum.raise(std::ranges::max(row));
    double distance = changed.distance[at] * rescale_[at];
    for (std::size_t i = 0; i < row.size(); ++i) {
      sum.total += static_cast<double>(std::exp(row[i] - sum.largest));
      distance += static_cast<double>(weights_.row(token)[i]) *
                  (static_cast<double>(exact_.row(token)[i]) - static_cast<double>(row[i]));
    }
    changed.distance[at] = distance;
  }
}

double AnswerDivergence::mean(std::size_t model) const {
  const auto log_of = [](const Sum& sum) { return static_cast<double>(sum.largest) + std::log(sum.total); };
  const Changed& changed = changed_[model];
  double all = 0;
  for (std::size_t i = 0; i < sums_.size(); ++i)
    all += changed.distance[i] / sums_[i].total - log_of(sums_[i]) + log_of(changed.sums[i]);
  return all / static_cast<double>(sums_.size());
}

}  // namespace stepdown::quant
