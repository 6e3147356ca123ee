#include "engine/quant/integer_grid.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace stepdown::quant {
namespace {

double loss(const std::vector<float>& weights, const IntegerGrid& grid) {
  double sum = 0;
  for (const float weight : weights) sum += std::pow(weight - grid.rounded(weight), 2);
  return sum;
}

TEST(IntegerGrid, ASearchedClipLosesLessThanTheWholeRange) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.02f);
  for (const int bits : {2, 3, 4, 8}) {
    for (const bool symmetric : {true, false}) {
      double clipped = 0, whole = 0;
      for (int group = 0; group < 64; ++group) {
        std::vector<float> weights(128);
        for (float& weight : weights) weight = normal(random);
        const IntegerGrid search = find_grid(weights, {bits, symmetric, true});
        const IntegerGrid range = find_grid(weights, {bits, symmetric, false});
        EXPECT_LE(loss(weights, search), loss(weights, range) * (1 + 1e-5)) << bits << symmetric << group;
        clipped += loss(weights, search);
        whole += loss(weights, range);
      }
      if (bits <= 4) {  // of 256 steps none is worth the largest weight
        EXPECT_LT(clipped, 0.95 * whole) << bits << " bits, symmetric " << symmetric;
      }
    }
  }
}

TEST(IntegerGrid, ZeroIsKeptAndCodesStayWithinTheirBits) {
  for (const bool symmetric : {true, false}) {
    for (const bool search : {true, false}) {
      const std::vector<float> weights = {0.5f, 0.75f, 0.9f, 1.0f};  // none is negative
      const IntegerGrid grid = find_grid(weights, {4, symmetric, search});
      EXPECT_EQ(grid.rounded(0), 0);
      for (const float weight : {-1e30f, -1.0f, 0.0f, 1.0f, 1e30f}) {
        EXPECT_GE(grid.code(weight), 0);
        EXPECT_LE(grid.code(weight), 15);
      }
    }
  }
}

}  // namespace
}  // namespace stepdown::quant
