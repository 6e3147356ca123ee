#include "engine/base/dtype.h"

#include <limits>

#include <gtest/gtest.h>

namespace stepdown {
namespace {

TEST(DType, NamesAndGgmlNumbersFindTheirRows) {
  EXPECT_EQ(dtype_from_name("Q4_K"), DType::kQ4_K);
  EXPECT_EQ(dtype_from_ggml(14), DType::kQ6_K);
  EXPECT_EQ(dtype_from_ggml(99), std::nullopt);
  EXPECT_EQ(dtype_from_ggml(101), std::nullopt) << "safetensors types have no ggml number";
}

TEST(DType, RowBytesWantWholeBlocksAndNoOverflow) {
  EXPECT_EQ(row_bytes(DType::kQ4_K, 512), 288u);
  EXPECT_EQ(row_bytes(DType::kQ4_K, 500), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kF32, std::numeric_limits<std::size_t>::max()), std::nullopt);
}

}  // namespace
}  // namespace stepdown
