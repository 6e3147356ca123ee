#include "engine/model/scale_and_cap.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace stepdown::model {
namespace {

TEST(ScaleAndCap, ScalesThenHoldsWithinTheCap) {
  std::vector<float> values = {0.0f, 1.0f, -400.0f};
  scale_and_cap(values, 2.0f, 30.0f);
  EXPECT_FLOAT_EQ(values[0], 0.0f);
  EXPECT_FLOAT_EQ(values[1], 30.0f * std::tanh(2.0f / 30.0f));
  EXPECT_FLOAT_EQ(values[2], -30.0f);
}

TEST(ScaleAndCap, WithoutACapOnlyScales) {
  std::vector<float> values = {3.0f, -5000.0f};
  scale_and_cap(values, 0.5f, 0.0f);
  EXPECT_EQ(values, (std::vector<float>{1.5f, -2500.0f}));
}

}  // namespace
}  // namespace stepdown::model
