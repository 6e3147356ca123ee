#include "engine/eval/statistics.h"

#include <vector>

#include <gtest/gtest.h>

namespace stepdown::eval {
namespace {

TEST(Statistics, QuantilesInterpolateAsNumpyDoes) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.99), 3.97);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
}

TEST(Statistics, IntervalCoversTheMeanAndShrinksWithN) {
  std::vector<double> few, many;
  for (int i = 0; i < 20; ++i) few.push_back(i % 4 == 0 ? -1.0 : 0.0);
  for (int i = 0; i < 2000; ++i) many.push_back(i % 4 == 0 ? -1.0 : 0.0);
  const Interval wide = paired_interval(few);
  const Interval narrow = paired_interval(many);
  EXPECT_LT(wide.low, -0.25);
  EXPECT_GT(wide.high, -0.25);
  EXPECT_LT(narrow.high - narrow.low, (wide.high - wide.low) / 5);
  EXPECT_LT(narrow.high, 0);
  EXPECT_EQ(paired_interval(few).low, wide.low) << "the same input gives the same interval";
}

}  // namespace
}  // namespace stepdown::eval
