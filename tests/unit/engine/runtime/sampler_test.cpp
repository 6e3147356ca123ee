#include "engine/runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

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

/// What a device finds of a row.
model::LeadingLogits leading_of(const std::vector<float>& logits, float temperature) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  model::LeadingLogits out{.distribution = kernels::operations().summarize(
                               logits.data(), static_cast<std::int64_t>(logits.size())),
                           .mass = 0,
                           .count = static_cast<std::int32_t>(std::min<std::size_t>(
                               logits.size(), static_cast<std::size_t>(model::LeadingLogits::kMost))),
                           .tokens = {}};
  for (std::size_t i = 0; i < out.best().size(); ++i)
    out.tokens[i] = {logits[static_cast<std::size_t>(order[i])], order[i]};
  for (const float x : logits) {
    if (temperature > 0) out.mass += std::exp((x - out.distribution.maximum) / temperature);
  }
  return out;
}

struct Shape {
  const char* name;
  std::size_t vocab;
  float deviation;
  bool whole;     ///< logits are whole numbers: many are equal
  int forbidden;  ///< a mask allows all but every so manyth; 0: no mask, 1: it forbids the likeliest twenty
};
constexpr Shape kShapes[] = {{"a language model's", 4000, 3.0f, false, 0},
                             {"flat", 4000, 0.1f, false, 0},
                             {"peaked", 4000, 9.0f, false, 0},
                             {"equal ones", 500, 2.0f, true, 0},
                             {"small", 40, 2.0f, false, 0},
                             {"masked", 4000, 3.0f, false, 3},
                             {"likeliest masked", 4000, 3.0f, false, 1},
                             {"small and masked", 40, 2.0f, true, 2}};

struct Drawn {
  int decided = 0, all = 0;
  double share() const { return static_cast<double>(decided) / all; }
};

// One sampler sees whole rows, another what leads in them and the row where that does not decide.
Drawn expect_equal_choices(const Sampling& sampling, const Shape& shape, int rows) {
  Sampler whole(sampling);
  Sampler led(sampling);
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.0f, shape.deviation);
  Drawn drawn;
  for (int i = 0; i < rows; ++i) {
    std::vector<float> logits(shape.vocab);
    for (float& x : logits) x = shape.whole ? std::round(normal(random)) : normal(random);
    const model::LeadingLogits leading = leading_of(logits, sampling.temperature);
    std::vector<std::uint32_t> mask;
    if (shape.forbidden > 0) mask.assign((shape.vocab + 31) / 32, 0xffffffffu);
    const auto forbid = [&](std::size_t token) { mask[token / 32] &= ~(1u << token % 32); };
    for (std::size_t token = 0; shape.forbidden > 1 && token < shape.vocab;
         token += static_cast<std::size_t>(shape.forbidden))
      forbid(token);
    for (std::size_t k = 0; shape.forbidden == 1 && k < 20; ++k)
      forbid(static_cast<std::size_t>(leading.tokens[k].token));
    const std::optional<TokenId> found = led.choose(leading, shape.vocab, mask);
    const TokenId expected = whole.choose(logits, mask);
    EXPECT_EQ(found ? *found : led.choose(logits, mask), expected) << shape.name << " row " << i;
    drawn.decided += found ? 1 : 0;
    ++drawn.all;
  }
  return drawn;
}

TEST(Leading, DecidesAsTheWholeRowWouldOrNot) {
  const Sampling kinds[] = {{},
                            {.temperature = 1.0f},
                            {.temperature = 0.7f, .top_p = 0.9f},
                            {.temperature = 1.0f, .top_p = 0.2f},
                            {.temperature = 1.0f, .top_p = 0.0f},
                            {.temperature = 1.5f, .top_k = 40},
                            {.temperature = 1.0f, .top_k = 100},
                            {.temperature = 1.0f, .top_p = 0.8f, .top_k = 20},
                            {.temperature = 1.0f, .min_p = 0.05f},
                            {.temperature = 1.0f, .min_p = 1e-4f},
                            {.temperature = 1.0f, .min_p = 2.0f},
                            {.temperature = 1e-3f},
                            {.temperature = 30.0f, .top_p = 0.99f}};
  std::uint64_t seed = 0;
  for (Sampling sampling : kinds) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE("kind " + std::to_string(seed));
      sampling.seed = seed;
      expect_equal_choices(sampling, shape, 60);
    }
    ++seed;
  }
}

TEST(Leading, DecidesWhatIsUsuallyAsked) {
  const auto share = [](const Sampling& sampling, std::size_t shape) {
    return expect_equal_choices(sampling, kShapes[shape], 200).share();
  };
  EXPECT_EQ(share({}, 0), 1.0);
  EXPECT_EQ(share({}, 5), 1.0);
  EXPECT_EQ(share({}, 6), 1.0);
  EXPECT_EQ(share({.temperature = 1.0f, .top_k = 40}, 0), 1.0);
  EXPECT_GT(share({.temperature = 1.0f, .top_k = 40}, 5), 0.8);  // sometimes fewer than 40 of 64 are allowed
  EXPECT_EQ(share({.temperature = 1.0f}, 4), 1.0);
  EXPECT_EQ(share({.temperature = 1.0f, .min_p = 0.1f}, 0), 1.0);
  EXPECT_GT(share({.temperature = 0.7f, .top_p = 0.9f}, 2), 0.95);
  EXPECT_GT(share({.temperature = 1.0f}, 2), 0.9);
  EXPECT_EQ(share({.temperature = 1.0f, .frequency_penalty = 0.1f, .logit_bias = {{1, 0.0f}}}, 0), 0.0);
}

// Two logits that differ and, divided by the temperature, do not: the lower token counts as the likelier.
TEST(Leading, DoesNotOrderWhatTheTemperatureMakesEqual) {
  std::vector<float> logits(600, -1e5f);
  for (std::size_t i = 0; i < 63; ++i) logits[10 + i] = 1000.0f;
  logits[500] = 1.0f;
  logits[3] = std::nextafter(1.0f, 0.0f);
  const Sampling sampling{.temperature = 1000.0f, .top_k = 64};
  const model::LeadingLogits leading = leading_of(logits, sampling.temperature);
  ASSERT_EQ(leading.best().back().token, 500);
  Sampler whole(sampling);
  Sampler led(sampling);
  int lower = 0;
  for (int i = 0; i < 600; ++i) {
    const std::optional<TokenId> found = led.choose(leading, logits.size(), {});
    const TokenId expected = whole.choose(logits, {});
    ASSERT_EQ(found ? *found : led.choose(logits, {}), expected);
    lower += expected == 3 ? 1 : 0;
  }
  EXPECT_GT(lower, 0);
}

TEST(Leading, OfNothingFoundNothingIsChosen) {
  Sampler sampler({});
  model::LeadingLogits none = leading_of({1, 2, 3}, 0.0f);
  EXPECT_EQ(sampler.choose(none, 3, {}), 2);
  EXPECT_EQ(sampler.choose(none, 3, std::vector<std::uint32_t>{0}), -1);
  none.count = 0;
  EXPECT_EQ(sampler.choose(none, 3, {}), std::nullopt);
  none = leading_of({1, std::numeric_limits<float>::quiet_NaN(), 3}, 0.0f);
  EXPECT_EQ(sampler.choose(none, 3, {}), std::nullopt);
}

TEST(MostLikely, BestFirst) {
  const std::vector<float> logits = {1.0f, 4.0f, 3.0f, 4.0f};
  EXPECT_THAT(most_likely(logits, 1.0f, 3), ElementsAre(Pair(1, 3.0f), Pair(3, 3.0f), Pair(2, 2.0f)));
  EXPECT_TRUE(most_likely(logits, 1.0f, 0).empty());
  EXPECT_EQ(most_likely(logits, 1.0f, 99).size(), 4u);
}

}  // namespace
}  // namespace stepdown::runtime
