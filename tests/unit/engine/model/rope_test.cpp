#include "engine/model/rope.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace stepdown::model {
namespace {

// Widths that whole vectors cover and such that leave a pair, in heads with more elements than are rotated.
TEST(Rope, TurnsEveryPairByItsAngle) {
  constexpr std::int64_t kHeads = 2;
  constexpr std::int64_t kUnrotated = 3;
  for (const RopeLayout layout : {RopeLayout::kNeighbours, RopeLayout::kHalves}) {
    for (const std::int64_t width : {2, 6, 8, 10, 64}) {
      const RopeFrequencies frequencies = {rope_frequencies(width, 100.0f, {}, {}).frequencies, 1.5f};
      Rope rope(frequencies, layout, 2);
      rope.set(0, 3);
      rope.set(1, 7);
      const std::int64_t head_dim = width + kUnrotated;
      std::vector<float> before(static_cast<std::size_t>(kHeads * head_dim));
      for (std::size_t i = 0; i < before.size(); ++i) before[i] = std::sin(static_cast<float>(i) + 1.0f);
      std::vector<float> after = before;
      rope.apply(1, after.data(), kHeads, head_dim);
      for (std::int64_t head = 0; head < kHeads; ++head) {
        const auto at = [&](std::int64_t i) { return static_cast<std::size_t>(head * head_dim + i); };
        for (std::int64_t pair = 0; pair < width / 2; ++pair) {
          const bool neighbours = layout == RopeLayout::kNeighbours;
          const std::size_t left = at(neighbours ? 2 * pair : pair);
          const std::size_t right = at(neighbours ? 2 * pair + 1 : pair + width / 2);
          const float angle = 7.0f * frequencies.frequencies[static_cast<std::size_t>(pair)];
          const float cosine = std::cos(angle) * 1.5f;
          const float sine = std::sin(angle) * 1.5f;
          EXPECT_FLOAT_EQ(after[left], before[left] * cosine - before[right] * sine) << width;
          EXPECT_FLOAT_EQ(after[right], before[left] * sine + before[right] * cosine) << width;
        }
        for (std::int64_t i = width; i < head_dim; ++i) EXPECT_EQ(after[at(i)], before[at(i)]);
      }
    }
  }
}

}  // namespace
}  // namespace stepdown::model
