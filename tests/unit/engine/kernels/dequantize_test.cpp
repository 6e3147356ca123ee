#include "engine/kernels/dequantize.h"

#include <cstring>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::kernels {
namespace {

namespace fs = std::filesystem;

class Dequantize : public testing::TestWithParam<std::string> {};

// Goldens by tests/goldens/formats/make_dequantize.py.
TEST_P(Dequantize, AgreesWithGgufBitByBit) {
  const DType type = dtype_from_name(GetParam()).value();
  const std::string golden =
      read_file(fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/formats/dequantize" / (GetParam() + ".bin"));
  std::uint32_t blocks = 0;
  std::memcpy(&blocks, golden.data(), sizeof(blocks));
  const DTypeInfo& info = dtype_info(type);
  const std::size_t elements = std::size_t{blocks} * info.block_elements;
  const auto row = std::as_bytes(std::span(golden)).subspan(4, std::size_t{blocks} * info.block_bytes);
  ASSERT_EQ(golden.size(), 4 + row.size() + elements * sizeof(float));

  std::vector<float> got(elements);
  dequantize_row(type, row, got);
  std::vector<float> expected(elements);
  std::memcpy(expected.data(), row.data() + row.size(), elements * sizeof(float));
  for (std::size_t i = 0; i < elements; ++i) {
    ASSERT_EQ(std::memcmp(&got[i], &expected[i], sizeof(float)), 0)
        << i << ": " << got[i] << " " << expected[i];
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, Dequantize,
                         testing::Values("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL",
                                         "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "TQ1_0", "TQ2_0",
                                         "MXFP4"),
                         [](const auto& test) { return test.param; });

TEST(DequantizeRow, RefusesWrongLengthsAndTypesWithoutDecoder) {
  std::vector<std::byte> row(18);
  std::vector<float> out(32);
  EXPECT_NO_THROW(dequantize_row(DType::kQ4_0, row, out));
  EXPECT_THROW(dequantize_row(DType::kQ4_1, row, out), Error);
  EXPECT_THROW(dequantize_row(DType::kQ4_0, row, std::span(out).first(31)), Error);
  EXPECT_THROW(dequantize_row(DType::kBool, row, out), Error);
}

}  // namespace
}  // namespace stepdown::kernels
