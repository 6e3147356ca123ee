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

TEST(Statistics, AMeanOverTokensIsDrawnTextByText) {
  // 100 tokens that agree within their texts: two units of evidence, not a hundred.
  const std::vector<TokenSum> two = {{50, 50}, {0, 50}};
  const Interval wide = token_mean_interval(two);
  EXPECT_EQ(wide.low, 0);
  EXPECT_EQ(wide.high, 1);
  const std::vector<std::size_t> both = {0, 1}, second = {1};
  EXPECT_EQ(token_mean(two, both), 0.5);
  EXPECT_EQ(token_mean(two, second), 0);
  EXPECT_EQ(token_mean_interval({}).high, 0) << "of nothing";
}

}  // namespace
}  // namespace stepdown::eval
