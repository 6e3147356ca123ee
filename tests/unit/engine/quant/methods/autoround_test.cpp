// What AutoRound learns, each part by a layer that nothing else could help.
#include "engine/quant/methods/autoround.h"

#include "tests/unit/engine/quant/methods/one_layer.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kGroup = 32;

WeightSettings settings_of(int steps) {
  WeightSettings settings;
  settings.group_size = kGroup;
  settings.steps = steps;
  settings.search_clip = false;
  return settings;
}

/// To the nearest, on the grid of the whole range.
Matrix rounded(const Matrix& weight) {
  WeightSettings settings;
  settings.group_size = kGroup;
  settings.search_clip = false;
  return quantized("int4", weight, {}, settings);
}

// Columns that vary together: errors of opposite sign cancel out, so that going the other way pays.
TEST(AutoRound, LearnsWhichWayWeightsAreRounded) {
  const Matrix weight = random_matrix(16, 64, 5);
  const Matrix tokens = correlated_tokens(200, 64, 7);
  const Matrix nearest = rounded(weight);
  const Matrix got = quantized("autoround", weight, inputs_of(tokens), settings_of(200));
  EXPECT_LT(output_error(weight, got, tokens), 0.5 * output_error(weight, nearest, tokens));
  int moved = 0;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t i = 0; i < weight.columns; ++i) {
      const double step = std::fabs(static_cast<double>(got.row(row)[i] - nearest.row(row)[i]));
      moved += step > 0.1;
    }
  }
  EXPECT_GT(moved, 64) << "of 1024 weights";
}

// Each column is read by tokens of its own, so that the nearest value is the best and shifts gain nothing.
// All weights but one that is never read lie on a grid a little finer than the one that holds that weight.
TEST(AutoRound, LearnsTheClipOfEachGroup) {
  constexpr float kStep = 0.25f;
  Matrix weight = random_matrix(16, 64, 9);
  for (float& x : weight.values) x = kStep * std::clamp(std::nearbyint(2 * x), -6.0f, 6.0f);
  Matrix tokens(64, 64);
  for (std::int64_t i = 0; i < tokens.columns; ++i) tokens.row(i)[i] = i % kGroup == 3 ? 0.0f : 1.0f;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t i = 3; i < weight.columns; i += kGroup) weight.row(row)[i] = 8.0f * kStep;
  }
  const double nearest = output_error(weight, rounded(weight), tokens);
  const double got =
      output_error(weight, quantized("autoround", weight, inputs_of(tokens), settings_of(200)), tokens);
  EXPECT_GT(nearest, 1.0);
  EXPECT_LT(got, 0.05 * nearest);
}

}  // namespace
}  // namespace stepdown::quant
