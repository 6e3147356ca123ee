#include "engine/runtime/sampler.h"

#include <cmath>

#include <gmock/gmock.h>

namespace stepdown::runtime {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<int> histogram(const Sampling& sampling, const std::vector<float>& logits,
                           const std::vector<std::uint32_t>& mask, int draws) {
  Sampler sampler(sampling);
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(sampler.choose(logits, mask))];
  return counts;
}

TEST(Sampler, GreedyTakesTheFirstOfTheBest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 3, 2}, {}), 1);
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 3, 2}, std::vector<std::uint32_t>{0b1001}), 3);
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 3, 2}, std::vector<std::uint32_t>{0}), -1);
}

TEST(Sampler, MaskBitsBeyondTheVocabularyAreIgnored) {
  Sampler sampler({});
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 2, 3}, std::vector<std::uint32_t>{0xfffffff8u}), -1);
}

TEST(Sampler, DrawsByProbability) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const auto counts = histogram({.temperature = 1.0f, .seed = 1}, logits, {}, 20000);
  EXPECT_NEAR(counts[0], 10000, 300);
  EXPECT_NEAR(counts[1], 6000, 300);
  EXPECT_NEAR(counts[2], 4000, 300);
}

TEST(Sampler, TemperatureSharpens) {
  const std::vector<float> logits = {std::log(0.6f), std::log(0.4f)};
  const auto counts = histogram({.temperature = 0.5f, .seed = 2}, logits, {}, 20000);
  EXPECT_NEAR(counts[0], 20000 * 0.36 / 0.52, 300);
}

TEST(Sampler, CutsTheTail) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.25f), std::log(0.15f), std::log(0.1f)};
  const auto keeps = [&](const Sampling& sampling) {
    int kept = 0;
    for (const int count : histogram(sampling, logits, {}, 3000)) kept += count > 0 ? 1 : 0;
    return kept;
  };
  EXPECT_EQ(keeps({.temperature = 1.0f}), 4);
  EXPECT_EQ(keeps({.temperature = 1.0f, .top_p = 0.7f}), 2);
  EXPECT_EQ(keeps({.temperature = 1.0f, .top_p = 0.0f}), 1);
  EXPECT_EQ(keeps({.temperature = 1.0f, .top_k = 3}), 3);
  EXPECT_EQ(keeps({.temperature = 1.0f, .min_p = 0.25f}), 3);
  EXPECT_EQ(keeps({.temperature = 1.0f, .min_p = 2.0f}), 1);
}

TEST(Sampler, EqualSeedsGiveEqualTokens) {
  const std::vector<float> logits(100, 0.0f);
  Sampler a({.temperature = 1.0f, .seed = 7});
  Sampler b({.temperature = 1.0f, .seed = 7});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(a.choose(logits, {}), b.choose(logits, {}));
}

TEST(Sampler, PenaltiesAndBias) {
  const std::vector<float> logits = {2.0f, 1.5f, 1.0f};
  Sampler frequency({.frequency_penalty = 0.4f});
  frequency.accept(0);
  EXPECT_EQ(frequency.choose(logits, {}), 0);
  frequency.accept(0);
  EXPECT_EQ(frequency.choose(logits, {}), 1);
  Sampler presence({.presence_penalty = 0.6f});
  presence.accept(0);
  EXPECT_EQ(presence.choose(logits, {}), 1);
  Sampler bias({.logit_bias = {{2, 5.0f}, {77, 100.0f}, {-3, 100.0f}}});
  EXPECT_EQ(bias.choose(logits, {}), 2);
}

TEST(MostLikely, BestFirst) {
  const std::vector<float> logits = {1.0f, 4.0f, 3.0f, 4.0f};
  EXPECT_THAT(most_likely(logits, 1.0f, 3), ElementsAre(Pair(1, 3.0f), Pair(3, 3.0f), Pair(2, 2.0f)));
  EXPECT_TRUE(most_likely(logits, 1.0f, 0).empty());
  EXPECT_EQ(most_likely(logits, 1.0f, 99).size(), 4u);
}

}  // namespace
}  // namespace stepdown::runtime
