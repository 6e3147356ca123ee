#include "engine/quant/calibration/answer_divergence.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace stepdown::quant {
namespace {

constexpr std::int64_t kTokens = 3;
constexpr std::int64_t kVocab = 50;

Matrix random(unsigned seed, float spread) {
  Matrix logits(kTokens, kVocab);
  std::mt19937 bits(seed);
  for (float& x : logits.values) x = spread * (static_cast<float>(bits() % 2001) / 1000.0f - 1.0f);
  return logits;
}

Matrix columns(const Matrix& all, std::int64_t first, std::int64_t count) {
  Matrix part(all.rows, count);
  for (std::int64_t row = 0; row < all.rows; ++row) std::copy_n(all.row(row) + first, count, part.row(row));
  return part;
}

double directly(const Matrix& exact, const Matrix& changed) {
  double all = 0;
  for (std::int64_t row = 0; row < exact.rows; ++row) {
    double p_sum = 0;
    double q_sum = 0;
    for (std::int64_t i = 0; i < exact.columns; ++i) {
      p_sum += std::exp(static_cast<double>(exact.row(row)[i]));
      q_sum += std::exp(static_cast<double>(changed.row(row)[i]));
    }
    for (std::int64_t i = 0; i < exact.columns; ++i) {
      const double log_p = static_cast<double>(exact.row(row)[i]) - std::log(p_sum);
      const double log_q = static_cast<double>(changed.row(row)[i]) - std::log(q_sum);
      all += std::exp(log_p) * (log_p - log_q);
    }
  }
  return all / static_cast<double>(exact.rows);
}

TEST(AnswerDivergence, IsThatOfWholeRowsHoweverTheColumnsCome) {
  const Matrix exact = random(1, 9.0f);
  const Matrix near = random(2, 8.0f);
  const Matrix far = random(3, 20.0f);
  for (const std::int64_t width : {1, 7, 50}) {
    AnswerDivergence divergence(kTokens, 2);
    for (std::int64_t first = 0; first < kVocab; first += width) {
      const std::int64_t count = std::min(width, kVocab - first);
      divergence.add_exact(columns(exact, first, count));
      divergence.add_changed(0, columns(near, first, count));
      divergence.add_changed(1, columns(far, first, count));
    }
    EXPECT_NEAR(divergence.mean(0), directly(exact, near), 1e-5) << width;
    EXPECT_NEAR(divergence.mean(1), directly(exact, far), 1e-5) << width;
  }
}

TEST(AnswerDivergence, OfTheSameLogitsIsNone) {
  const Matrix exact = random(4, 30.0f);
  AnswerDivergence divergence(kTokens, 1);
  divergence.add_exact(exact);
  divergence.add_changed(0, exact);
  EXPECT_NEAR(divergence.mean(0), 0.0, 1e-12);
}

TEST(AnswerDivergence, LogitsOfAnySizeDoNotOverflow) {
  Matrix exact = random(5, 1.0f);
  for (float& x : exact.values) x += 3000.0f;
  Matrix changed = exact;
  for (float& x : changed.values) x -= 6000.0f;  // the same distribution
  AnswerDivergence divergence(kTokens, 1);
  divergence.add_exact(exact);
  divergence.add_changed(0, changed);
  EXPECT_NEAR(divergence.mean(0), 0.0, 1e-4);
}

}  // namespace
}  // namespace stepdown::quant
