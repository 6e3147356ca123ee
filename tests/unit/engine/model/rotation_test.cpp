#include "engine/model/rotation.h"

#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/engine/kernels/hadamard.h"
#include <gtest/gtest.h>

namespace stepdown::model {
namespace {

// Blocks of one, two and four, and of odd and even powers of two beyond the four that are worked on together;
// heads begin where they like.
TEST(RotateHead, IsHadamardsMatrixAndItsOwnInverse) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const std::int64_t width : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 80, 96, 128, 192, 256, 512}) {
    const auto size = static_cast<std::size_t>(width);
    std::vector<float> head(size);
    for (float& x : head) x = normal(random);
    const std::vector<float> expected = kernels::rotated(head);
    std::vector<float> memory(size + 2, 7.0f);
    std::ranges::copy(head, memory.begin() + 1);
    rotate_head(memory.data() + 1, width);
    for (std::size_t i = 0; i < size; ++i)
      EXPECT_NEAR(memory[i + 1], expected[i], 2e-6) << width << ", " << i;
    rotate_head(memory.data() + 1, width);
    for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(memory[i + 1], head[i], 2e-6) << width << ", " << i;
    EXPECT_EQ(memory.front(), 7.0f) << width;
    EXPECT_EQ(memory.back(), 7.0f) << width;
  }
}

}  // namespace
}  // namespace stepdown::model
