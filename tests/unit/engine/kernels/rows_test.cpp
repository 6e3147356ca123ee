#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels/operations.h"

namespace stepdown::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_row(std::size_t count, float spread) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> row(count);
  for (float& value : row) value = normal(random);
  return row;
}

class EveryInstructionSet : public testing::TestWithParam<const Operations*> {
 protected:
  void SetUp() override {
    if (!GetParam()->supported()) GTEST_SKIP() << "this machine lacks " << GetParam()->name;
  }
  const Operations& operations() const { return *GetParam(); }
};

TEST_P(EveryInstructionSet, EncodesWithinHalfAStep) {
  const std::vector<float> row = random_row(96, 3.0f);
  std::vector<std::int8_t> codes(96);
  std::vector<BlockScale> scales(3);
  std::vector<BlockSums> sums(3);
  operations().encode_row(row.data(), 96, codes.data(), scales.data(), sums.data());
  for (std::size_t block = 0; block < 3; ++block) {
    int low = 0;
    int high = 0;
    for (std::size_t i = 0; i < 32; ++i) {
      const std::size_t at = block * 32 + i;
      EXPECT_NEAR(static_cast<float>(codes[at]) * scales[block].scale, row[at], scales[block].scale * 0.501f);
      (i < 16 ? low : high) += codes[at];
    }
    EXPECT_FLOAT_EQ(sums[block].low_sum, scales[block].scale * static_cast<float>(low));
    EXPECT_FLOAT_EQ(sums[block].high_sum, scales[block].scale * static_cast<float>(high));
    EXPECT_FLOAT_EQ(scales[block].sum, scales[block].scale * static_cast<float>(low + high));
    EXPECT_EQ(sums[block].start, -kStartOffset * (low + high));
    EXPECT_EQ(sums[block].low_start, -kStartOffset * low);
    EXPECT_EQ(sums[block].high_start, -kStartOffset * high);
  }
}

TEST_P(EveryInstructionSet, EncodesZeroTinyAndNonFiniteBlocks) {
  std::vector<float> row(128, 0.0f);
  row[40] = 1e-38f;
  row[70] = kNan;
  row[71] = 5.0f;
  row[100] = -kInfinity;
  std::vector<std::int8_t> codes(128, 99);
  std::vector<BlockScale> scales(4);
  std::vector<BlockSums> sums(4);
  operations().encode_row(row.data(), 128, codes.data(), scales.data(), sums.data());
  EXPECT_EQ(codes, std::vector<std::int8_t>(128, 0));
  EXPECT_EQ(scales[0].scale, 0.0f);
  EXPECT_EQ(scales[1].scale, 0.0f);
  EXPECT_TRUE(std::isnan(scales[2].scale));
  EXPECT_TRUE(std::isnan(scales[3].scale));
}

TEST_P(EveryInstructionSet, NormalizesAndGates) {
  for (const std::size_t count : {1u, 15u, 16u, 33u, 576u}) {
    const std::vector<float> row = random_row(count, 2.0f);
    const std::vector<float> weight = random_row(count, 1.0f);
    double squares = 0;
    for (const float x : row) squares += static_cast<double>(x) * x;
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(count) + 1e-5);
    std::vector<float> out(count);
    operations().rms_norm(row.data(), weight.data(), 1e-5f, static_cast<std::int64_t>(count), out.data());
    std::vector<float> gate = row;
    operations().silu_multiply(gate.data(), weight.data(), static_cast<std::int64_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_NEAR(out[i], row[i] * inverse * weight[i], 1e-5);
      EXPECT_NEAR(gate[i], row[i] / (1.0 + std::exp(-static_cast<double>(row[i]))) * weight[i], 1e-5);
    }
  }
}

TEST_P(EveryInstructionSet, GatesExtremeValues) {
  std::vector<float> gate = {-1000.0f, -100.0f, 100.0f, 1000.0f, kNan};
  const std::vector<float> up(gate.size(), 1.0f);
  operations().silu_multiply(gate.data(), up.data(), 5);
  EXPECT_NEAR(gate[0], 0.0f, 1e-30f);
  EXPECT_NEAR(gate[1], 0.0f, 1e-30f);
  EXPECT_FLOAT_EQ(gate[2], 100.0f);
  EXPECT_FLOAT_EQ(gate[3], 1000.0f);
  EXPECT_TRUE(std::isnan(gate[4]));
}

TEST_P(EveryInstructionSet, SoftmaxSumsToOne) {
  for (const std::size_t count : {1u, 7u, 16u, 1000u}) {
    std::vector<float> row = random_row(count, 5.0f);
    const std::vector<float> logits = row;
    operations().softmax(row.data(), static_cast<std::int64_t>(count));
    double total = 0;
    for (const float x : logits) total += std::exp(static_cast<double>(x));
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_NEAR(row[i], std::exp(static_cast<double>(logits[i])) / total, 1e-6);
  }
}

TEST_P(EveryInstructionSet, SummarizesADistribution) {
  for (const std::size_t count : {1u, 31u, 1024u, 49152u}) {
    const std::vector<float> logits = random_row(count, 4.0f);
    double total = 0;
    double weighted = 0;
    for (const float x : logits) {
      total += std::exp(static_cast<double>(x));
      weighted += std::exp(static_cast<double>(x)) * x;
    }
    const Distribution got = operations().summarize(logits.data(), static_cast<std::int64_t>(count));
    EXPECT_TRUE(got.finite);
    EXPECT_EQ(got.maximum, *std::max_element(logits.begin(), logits.end()));
    EXPECT_NEAR(got.log_sum, std::log(total), 1e-4);
    EXPECT_NEAR(got.entropy, std::log(total) - weighted / total, 2e-4);
  }
}

TEST_P(EveryInstructionSet, FindsEveryNonFiniteLogit) {
  for (const float poison : {kNan, kInfinity, -kInfinity}) {
    for (const std::size_t at : {0u, 5u, 31u, 32u}) {
      std::vector<float> logits = random_row(33, 1.0f);
      logits[at] = poison;
      EXPECT_FALSE(operations().summarize(logits.data(), 33).finite) << poison << " at " << at;
    }
  }
}

/// FNV-1a over the bits of floats.
std::uint64_t fold(std::uint64_t hash, std::span<const float> values) {
  for (const float value : values) hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3ull;
  return hash;
}

// What is calibrated on one processor can be made again on another. The scalar row is left out: it rounds
// products before it adds them, as a processor without fused ones does.
TEST_P(EveryInstructionSet, GivesTheBitsOfEveryOther) {
  if (operations().name == "scalar") GTEST_SKIP() << "has no fused products";
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const std::size_t count : {1u, 7u, 8u, 9u, 15u, 16u, 17u, 24u, 25u, 33u, 576u, 1001u}) {
    const auto n = static_cast<std::int64_t>(count);
    const std::vector<float> row = random_row(count, 3.0f);
    const std::vector<float> weight = random_row(count, 1.0f);
    std::vector<float> out(count);
    operations().rms_norm(row.data(), weight.data(), 1e-5f, n, out.data());
    hash = fold(hash, out);
    for (const auto gate : {operations().silu_multiply, operations().gelu_multiply}) {
      out = row;
      gate(out.data(), weight.data(), n);
      hash = fold(hash, out);
    }
    out = row;
    operations().softmax(out.data(), n);
    hash = fold(hash, out);
    const Distribution found = operations().summarize(row.data(), n);
    hash = fold(hash, std::vector{found.maximum, found.log_sum, found.entropy});
    for (const std::int64_t rows : {1, 2, 5, 9}) {
      const std::vector<float> tile = random_row(16 * count, 1.0f);
      const std::vector<float> input = random_row(static_cast<std::size_t>(rows) * count, 1.0f);
      std::vector<float> products(static_cast<std::size_t>(rows) * 16);
      operations().f32_tiles(reinterpret_cast<const std::byte*>(tile.data()), 1, n, input.data(), n, rows,
                             products.data(), 16, /*accumulate=*/false);
      hash = fold(hash, products);
    }
  }
  EXPECT_EQ(hash, 6917589492192098607u) << operations().name;
}

INSTANTIATE_TEST_SUITE_P(Rows, EveryInstructionSet,
                         testing::ValuesIn(all_operations().begin(), all_operations().end()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace stepdown::kernels
