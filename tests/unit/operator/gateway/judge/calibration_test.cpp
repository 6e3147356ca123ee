#include "operator/gateway/judge/calibration.h"

#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

TEST(CalibrationTest, JudgesAgainstTheControlOnceItKnowsIt) {
  Calibration control;
  EXPECT_FALSE(control.collapsed(-50)) << "nothing is known yet";
  std::mt19937_64 random(1);
  std::normal_distribution<> healthy(-0.4, 0.1);
  for (int i = 0; i < 500; ++i) control.add(healthy(random));
  control.add(std::numeric_limits<double>::quiet_NaN());
  control.add(-std::numeric_limits<double>::infinity());
  EXPECT_NEAR(control.mean(), -0.4, 0.05);
  EXPECT_NEAR(control.deviation(), 0.1, 0.03);
  EXPECT_FALSE(control.collapsed(-0.9)) << "worse, yet within what a quantized model may show";
  EXPECT_TRUE(control.collapsed(-3.5));
  EXPECT_FALSE(control.collapsed(std::numeric_limits<double>::quiet_NaN())) << "the engine told none";
}

TEST(CalibrationTest, FollowsTrafficThatChanges) {
  Calibration control;
  for (int i = 0; i < 500; ++i) control.add(-0.2 - 0.01 * (i % 3));
  EXPECT_TRUE(control.collapsed(-2.5));
  for (int i = 0; i < 2'000; ++i) control.add(-2.5 - 0.01 * (i % 3));
  EXPECT_FALSE(control.collapsed(-2.6));
}

}  // namespace
}  // namespace stepdown::gateway
