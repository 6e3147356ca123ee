#include "engine/quant/encoder.h"

#include <cstring>
#include <filesystem>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

void expect_blocks(DType type, const std::vector<float>& weights, const std::vector<float>& importance,
                   const std::string& expected) {
  std::string got(expected.size(), '\0');
  encode_row(type, weights, importance, std::as_writable_bytes(std::span(got)));
  const std::size_t block = dtype_info(type).block_bytes;
  for (std::size_t at = 0; at < got.size(); at += block) {
    EXPECT_EQ(got.substr(at, block), expected.substr(at, block))
        << "block " << at / block << (importance.empty() ? "" : " with importance");
  }
}

class Encoder : public testing::TestWithParam<std::string> {};

// Goldens by tests/goldens/formats/make_encode.py.
TEST_P(Encoder, WritesTheBytesOfGgml) {
  const DType type = dtype_from_name(GetParam()).value();
  const auto path =
      std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/formats/encode" / (GetParam() + ".bin");
  const std::string golden = read_file(path);
  std::uint32_t count = 0;
  std::memcpy(&count, golden.data(), sizeof(count));
  const std::size_t floats = count * sizeof(float);
  const std::size_t bytes = row_bytes(type, count).value();
  ASSERT_EQ(golden.size(), 4 + 2 * (floats + bytes));
  const auto floats_at = [&](std::size_t at) {
    std::vector<float> values(count);
    std::memcpy(values.data(), golden.data() + at, floats);
    return values;
  };
  const std::vector<float> weights = floats_at(4);
  const std::vector<float> importance = floats_at(4 + floats + bytes);
  expect_blocks(type, weights, {}, golden.substr(4 + floats, bytes));
  expect_blocks(type, weights, importance, golden.substr(4 + 2 * floats + bytes));
}

INSTANTIATE_TEST_SUITE_P(EveryType, Encoder,
                         testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
                                         "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
                         [](const auto& test) { return test.param; });

TEST(Encodable, RefusesWhatBinary16CannotHold) {
  EXPECT_TRUE(encodable(std::vector<float>{0.0f, -65504.0f}));
  EXPECT_FALSE(encodable(std::vector<float>{0.0f, 65520.0f}));
  EXPECT_FALSE(encodable(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}));
  EXPECT_FALSE(encodable(std::vector<float>{-std::numeric_limits<float>::infinity()}));
}

TEST(EncodeRow, ExtremeButLegalWeightsAreWrittenWithoutFault) {
  const std::vector<float> extremes = {0.0f, -0.0f, 1e-45f, -1e-45f, 1e-38f, 65504.0f, -65504.0f};
  for (const char* name : {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
                           "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
    const DType type = *dtype_from_name(name);
    for (std::size_t first = 0; first < extremes.size(); ++first) {
      for (std::size_t kinds = 1; kinds <= extremes.size(); ++kinds) {
        std::vector<float> weights(256);
        for (std::size_t i = 0; i < 256; ++i) weights[i] = extremes[(first + i % kinds) % extremes.size()];
        std::vector<std::byte> out(row_bytes(type, 256).value());
        EXPECT_NO_THROW(encode_row(type, weights, {}, out));
      }
    }
  }
}

TEST(EncodeRow, RefusesWrongLengthsAndTypesWithoutEncoder) {
  const std::vector<float> weights(32);
  std::vector<std::byte> out(18);
  EXPECT_NO_THROW(encode_row(DType::kQ4_0, weights, {}, out));
  EXPECT_THROW(encode_row(DType::kQ8_0, weights, {}, out), Error);
  EXPECT_THROW(encode_row(DType::kMXFP4, weights, {}, std::span(out).first(17)), Error);
  EXPECT_THROW(encode_row(DType::kQ4_0, weights, std::span(weights).first(31), out), Error);
}

}  // namespace
}  // namespace stepdown::quant
