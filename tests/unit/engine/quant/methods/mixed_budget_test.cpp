#include "engine/quant/methods/mixed_budget.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

using Choice = std::vector<std::size_t>;

TEST(SpendBudget, BuysTheLargestFallOfErrorAByte) {
  const std::vector<std::vector<TypeOption>> tensors = {
      {{DType::kQ2_K, 100, 0.50}, {DType::kQ4_K, 200, 0.10}, {DType::kQ8_0, 400, 0.01}},
      {{DType::kQ2_K, 100, 0.20}, {DType::kQ4_K, 200, 0.15}, {DType::kQ8_0, 400, 0.01}},
  };
  EXPECT_EQ(spend_budget(tensors, 200), (Choice{0, 0}));
  EXPECT_EQ(spend_budget(tensors, 299), (Choice{0, 0})) << "nothing fits";
  EXPECT_EQ(spend_budget(tensors, 300), (Choice{1, 0})) << "0.004 a byte comes before 0.0006";
  EXPECT_EQ(spend_budget(tensors, 600), (Choice{1, 2})) << "the second's middle step is above its hull";
  EXPECT_EQ(spend_budget(tensors, 10000), (Choice{2, 2}));
  EXPECT_THROW(spend_budget(tensors, 199), InputError);
  EXPECT_EQ(spend_budget(tensors, 650, 50), (Choice{1, 2})) << "fifty bytes are no tensor's";
  try {
    spend_budget(tensors, 249, 50);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("at least 250"), std::string::npos) << error.what();
  }
}

TEST(SpendBudget, NeverPaysForAnErrorThatDoesNotFall) {
  const std::vector<std::vector<TypeOption>> tensors = {
      {{DType::kQ4_0, 100, 0.1}, {DType::kQ4_K, 110, 0.1}, {DType::kQ5_0, 120, 0.2}}};
  EXPECT_EQ(spend_budget(tensors, 1000), Choice{0});
}

}  // namespace
}  // namespace stepdown::quant
