// Norms, gates, summaries and leading tokens of rows on the device against plain loops.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <span>

#include "tests/unit/engine/kernels/cuda/backend.h"

#include "engine/base/half.h"
#include "engine/kernels/operations.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_floats(std::size_t count, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

class Rows : public OnBackends {};

TEST_P(Rows, NormAgreesWithTheProcessors) {
  constexpr std::size_t kColumns = 333, kStride = 384;
  const auto rows = random_floats(4 * kColumns, 3.0f, 1);
  const auto weight = random_floats(kColumns, 1.0f, 2);
  const std::vector<std::int32_t> gather = {3, 0, 3};
  const Buffer from = to_device(rows);
  const Buffer scale = to_device(weight);
  const Buffer which = to_device(gather);
  const Buffer out = to_device(std::vector<std::uint16_t>(3 * kStride, 0x1234));
  run(device().operations().rms_norm(device().stream(), {.rows = from.as<float>(),
                                                         .weight = scale.as<float>(),
                                                         .epsilon = 1e-5f,
                                                         .columns = kColumns,
                                                         .count = 3,
                                                         .gather = which.as<std::int32_t>(),
                                                         .out = out.as<std::uint16_t>(),
                                                         .stride = kStride}));
  const auto halves = to_host<std::uint16_t>(out);
  std::vector<float> expected(kColumns);
  for (std::size_t row = 0; row < gather.size(); ++row) {
    operations().rms_norm(rows.data() + static_cast<std::size_t>(gather[row]) * kColumns, weight.data(),
                          1e-5f, kColumns, expected.data());
    for (std::size_t i = 0; i < kColumns; ++i)
      ASSERT_NEAR(f16_to_f32(halves[row * kStride + i]), expected[i], 1e-5 + std::abs(expected[i]) * 1e-3);
    ASSERT_EQ(halves[row * kStride + kColumns], 0x1234) << "beyond the columns";
  }
}

TEST_P(Rows, RoundingSaturatesAndKeepsWhatIsNotFinite) {
  const std::vector<float> values = {70000.0f, -1e30f, kInfinity, -kInfinity, kNan, 65504.0f, 1e-8f, -0.0f};
  const Buffer from = to_device(values);
  const Buffer out(device(), values.size() * 2);
  run(device().operations().rms_norm(device().stream(), {.rows = from.as<float>(),
                                                         .weight = nullptr,
                                                         .columns = 8,
                                                         .count = 1,
                                                         .out = out.as<std::uint16_t>(),
                                                         .stride = 8}));
  const auto halves = to_host<std::uint16_t>(out);
  EXPECT_EQ(f16_to_f32(halves[0]), 65504.0f);
  EXPECT_EQ(f16_to_f32(halves[1]), -65504.0f);
  EXPECT_EQ(f16_to_f32(halves[2]), kInfinity);
  EXPECT_EQ(f16_to_f32(halves[3]), -kInfinity);
  EXPECT_TRUE(std::isnan(f16_to_f32(halves[4])));
  EXPECT_EQ(f16_to_f32(halves[5]), 65504.0f);
  EXPECT_EQ(halves[6], 0);
  EXPECT_EQ(halves[7], 0x8000);
}

TEST_P(Rows, GatesAgreeWithTheProcessors) {
  constexpr std::size_t kColumns = 300, kTokens = 3;
  auto values = random_floats(kTokens * 2 * kColumns, 4.0f, 3);
  values[5] = -200.0f;  // exp overflows
  values[6] = 200.0f;
  for (const Gate function : {Gate::kSilu, Gate::kGelu}) {
    const Buffer from = to_device(values);
    const Buffer out(device(), kTokens * kColumns * 2);
    run(device().operations().gate(device().stream(), {.gate = from.as<float>(),
                                                       .up = from.as<float>() + kColumns,
                                                       .stride = 2 * kColumns,
                                                       .columns = kColumns,
                                                       .tokens = kTokens,
                                                       .function = function,
                                                       .out = out.as<std::uint16_t>(),
                                                       .out_stride = kColumns}));
    const auto halves = to_host<std::uint16_t>(out);
    for (std::size_t token = 0; token < kTokens; ++token) {
      std::vector<float> expected(
          values.begin() + static_cast<std::ptrdiff_t>(token * 2 * kColumns),
          values.begin() + static_cast<std::ptrdiff_t>(token * 2 * kColumns + kColumns));
      const auto multiply = function == Gate::kSilu ? operations().silu_multiply : operations().gelu_multiply;
      multiply(expected.data(), values.data() + token * 2 * kColumns + kColumns, kColumns);
      for (std::size_t i = 0; i < kColumns; ++i)
        ASSERT_NEAR(f16_to_f32(halves[token * kColumns + i]), expected[i],
                    1e-4 + std::abs(expected[i]) * 1e-3)
            << i;
    }
  }
}

TEST_P(Rows, SummariesAgreeWithTheProcessorsAndObeyMasks) {
  constexpr std::size_t kColumns = 1500, kWords = (kColumns + 31) / 32;
  auto logits = random_floats(4 * kColumns, 5.0f, 4);
  logits[777] = logits[123] = 40.0f;  // equal ones: the lower token
  logits[2 * kColumns + 3] = kNan;
  logits[3 * kColumns + 9] = -kInfinity;
  std::vector<std::uint32_t> masks(4 * kWords, 0xffffffffu);
  masks[kWords] = 1u << 7;  // row 1: token 7 alone
  for (std::size_t i = 1; i < kWords; ++i) masks[kWords + i] = 0;
  for (std::size_t i = 0; i < kWords; ++i) masks[3 * kWords + i] = 0;
  const Buffer from = to_device(logits);
  const Buffer mask = to_device(masks);
  const Buffer out(device(), 4 * sizeof(TokenSummary));
  run(device().operations().summarize(device().stream(), {.logits = from.as<float>(),
                                                          .columns = kColumns,
                                                          .rows = 4,
                                                          .masks = mask.as<std::uint32_t>(),
                                                          .words = kWords,
                                                          .out = out.as<TokenSummary>()}));
  const auto summaries = to_host<TokenSummary>(out);
  for (std::size_t row = 0; row < 2; ++row) {
    const Distribution expected = operations().summarize(logits.data() + row * kColumns, kColumns);
    EXPECT_EQ(summaries[row].finite, 1);
    EXPECT_EQ(summaries[row].maximum, expected.maximum);
    EXPECT_NEAR(summaries[row].log_sum, expected.log_sum, 1e-4);
    EXPECT_NEAR(summaries[row].entropy, expected.entropy, 1e-3);
  }
  EXPECT_EQ(summaries[0].best, 123);
  EXPECT_EQ(summaries[0].best_logit, 40.0f);
  EXPECT_EQ(summaries[1].best, 7);
  EXPECT_EQ(summaries[1].best_logit, logits[kColumns + 7]);
  EXPECT_EQ(summaries[2].finite, 0);
  EXPECT_EQ(summaries[3].finite, 0);
  EXPECT_EQ(summaries[3].best, -1);
}

TEST_P(Rows, LogitsAreScaledAndCappedInPlace) {
  const std::vector<float> logits = {1.0f, -8.0f, 30.0f};
  const Buffer from = to_device(logits);
  const Buffer out(device(), sizeof(TokenSummary));
  run(device().operations().summarize(device().stream(), {.logits = from.as<float>(),
                                                          .columns = 3,
                                                          .rows = 1,
                                                          .scale = 2.0f,
                                                          .softcap = 10.0f,
                                                          .out = out.as<TokenSummary>()}));
  const auto capped = to_host<float>(from);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(capped[i], 10.0f * std::tanh(logits[i] / 5.0f), 1e-5);
}

/// Of one row by a sort of all its tokens.
void expect_leading(const LeadingRow& found, std::span<const float> logits, float temperature) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  const std::size_t count = std::min<std::size_t>(logits.size(), LeadingRow::kMost);
  ASSERT_EQ(found.count, static_cast<std::int32_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(found.tokens[i], order[i]) << i;
    ASSERT_EQ(found.logits[i], logits[static_cast<std::size_t>(order[i])]) << i;
  }
  double mass = 0;
  for (const float x : logits)
    mass += std::exp((static_cast<double>(x) - static_cast<double>(found.logits[0])) /
                     static_cast<double>(temperature));
  if (temperature > 0) {
    EXPECT_NEAR(static_cast<double>(found.mass) / mass, 1.0, 2e-5);
  } else {
    EXPECT_EQ(found.mass, 0.0f);
  }
}

TEST_P(Rows, LeadingTokensAreThoseOfASort) {
  const std::vector<float> temperatures = {1.0f, 0.7f, 0.0f, 2.5f, 1e-3f};
  const Buffer heat = to_device(temperatures);
  for (const std::size_t columns : {std::size_t{1}, std::size_t{50}, std::size_t{64}, std::size_t{65},
                                    std::size_t{1000}, std::size_t{5003}}) {
    auto logits = random_floats(5 * columns, 4.0f, 7);
    const std::span<float> all(logits);
    for (float& x : all.subspan(columns, columns)) x = std::round(x / 2);           // many equal ones
    for (float& x : all.subspan(2 * columns, columns)) x = 3.0f;                    // all equal
    for (float& x : all.subspan(3 * columns, columns)) x = std::copysign(0.0f, x);  // zeros of both signs
    const Buffer from = to_device(logits);
    const Buffer out(device(), 5 * sizeof(LeadingRow));
    run(device().operations().lead(device().stream(), {.logits = from.as<float>(),
                                                       .columns = static_cast<std::int32_t>(columns),
                                                       .rows = 5,
                                                       .temperatures = heat.as<float>(),
                                                       .out = out.as<LeadingRow>()}));
    const auto found = to_host<LeadingRow>(out);
    for (std::size_t row = 0; row < 5; ++row) {
      SCOPED_TRACE(std::to_string(columns) + " columns, row " + std::to_string(row));
      expect_leading(found[row], std::span<const float>(all).subspan(row * columns, columns),
                     temperatures[row]);
    }
  }
}

// The greatest in the places that a few threads look at: more of them than a block holds.
TEST_P(Rows, LeadingTokensThatCannotBeFoundAreToldApart) {
  constexpr std::size_t kColumns = 1024 * 40;
  auto logits = random_floats(2 * kColumns, 1.0f, 8);
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (i % 1024 < 40) logits[i] += 100.0f;
  }
  logits[kColumns + 5] = kNan;  // not finite, which the summary says: no token is out of range
  const Buffer from = to_device(logits);
  const Buffer heat = to_device(std::vector<float>{1.0f, 1.0f});
  const Buffer out(device(), 2 * sizeof(LeadingRow));
  run(device().operations().lead(device().stream(), {.logits = from.as<float>(),
                                                     .columns = kColumns,
                                                     .rows = 2,
                                                     .temperatures = heat.as<float>(),
                                                     .out = out.as<LeadingRow>()}));
  const auto found = to_host<LeadingRow>(out);
  EXPECT_EQ(found[0].count, 0);
  for (const std::int32_t token : found[1].tokens) EXPECT_LT(token, static_cast<std::int32_t>(kColumns));
}

INSTANTIATE_TEST_SUITE_P(Cuda, Rows, ::testing::ValuesIn(kBackends), backend_name);

}  // namespace
}  // namespace stepdown::kernels::cuda
