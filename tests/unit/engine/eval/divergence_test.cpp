#include "engine/eval/divergence.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace stepdown::eval {
namespace {

TEST(Divergence, IsZeroForEqualDistributionsWhateverTheirOffset) {
  const std::vector<float> p = {1.0f, 2.0f, -3.0f};
  const std::vector<float> shifted = {11.0f, 12.0f, 7.0f};
  EXPECT_NEAR(divergence_of(p, p), 0, 1e-12);
  EXPECT_NEAR(divergence_of(p, shifted), 0, 1e-6);
}

TEST(Divergence, IsThatOfTheFormula) {
  const std::vector<float> p = {std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  const std::vector<float> q = {std::log(0.25f), std::log(0.5f), std::log(0.25f)};
  EXPECT_NEAR(divergence_of(p, q), 0.25 * std::log(2.0), 1e-6);
}

TEST(Divergence, OfWhatIsNotFiniteIsInfinite) {
  const std::vector<float> p = {1.0f, 2.0f};
  const std::vector<float> bad = {1.0f, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(divergence_of(p, bad), std::numeric_limits<double>::infinity());
  EXPECT_EQ(divergence_of(bad, p), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace stepdown::eval
