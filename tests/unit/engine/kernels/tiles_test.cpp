#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tests/unit/engine/kernels/stored_matrix.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/kernels/matmul.h"

namespace stepdown::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Packed {
  std::vector<std::byte> memory;
  PackedMatrix matrix;
  explicit Packed(const TensorView& view) : memory(PackedMatrix::packed_bytes(view)), matrix(view, memory) {}
};

Activations random_inputs(const Operations& operations, std::int64_t rows, std::int64_t columns,
                          unsigned seed) {
  Activations input(rows, columns);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < columns; ++i) input.row(row)[i] = normal(random);
    input.encode(operations, row);
  }
  return input;
}

// What instructions for BF16 products make of an input.
float rounded(const Operations& operations, DType weights, float input) {
  const bool rounds =
      weights == DType::kBF16 && (operations.name == "amx" || operations.name == "avx512bf16");
  return rounds ? bf16_to_f32(f32_to_bf16(input)) : input;
}

// Every product in double precision from the codec's own values; codes of the input for quantized weights.
void expect_products(const Operations& operations, const Stored& stored, const Activations& input,
                     std::int64_t count) {
  ThreadPool pool(2);
  const Packed packed(stored.view);
  const std::int64_t rows = stored.view.rows();
  const std::int64_t columns = stored.view.columns();
  std::vector<float> out(static_cast<std::size_t>(count * rows), 0.5f);
  const std::vector<Product> products = {{&packed.matrix, out.data(), rows, true}};
  multiply(pool, operations, input, 0, count, products);
  const std::vector<float> weights = stored.values();
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t j = 0; j < rows; ++j) {
      double sum = 0.5;
      double magnitude = 1.0;
      for (std::int64_t i = 0; i < columns; ++i) {
        const CodedRows coded = input.coded(i / kPanelColumns);
        const std::int64_t at = row * coded.columns + i % kPanelColumns;
        const double x = packed.matrix.kind() == TileKind::kCodes
                             ? static_cast<double>(coded.codes[at]) * coded.scales[at / kBlock].scale
                             : rounded(operations, stored.view.type, input.row(row)[i]);
        const double term = x * weights[static_cast<std::size_t>(j * columns + i)];
        sum += term;
        magnitude += std::abs(term);
      }
      const double got = out[static_cast<std::size_t>(row * rows + j)];
      if (std::isnan(sum) || std::isinf(sum)) {
        ASSERT_FALSE(std::isfinite(got)) << operations.name << " row " << row << " output " << j;
      } else {
        ASSERT_NEAR(got, sum, 3e-6 * magnitude) << operations.name << " row " << row << " output " << j;
      }
    }
  }
}

std::vector<const Operations*> supported_operations() {
  std::vector<const Operations*> found;
  for (const Operations* row : all_operations()) {
    if (row->supported()) found.push_back(row);
  }
  return found;
}

class EveryType : public testing::TestWithParam<DType> {};

TEST_P(EveryType, ProductsAgreeWithTheReferenceDecoder) {
  for (const Operations* operations : supported_operations()) {
    for (const std::int64_t rows : {1, 15, 16, 40}) {
      const Stored stored = random_matrix(GetParam(), rows, 512, static_cast<unsigned>(rows));
      const Activations input = random_inputs(*operations, 23, 512, 7);
      for (const std::int64_t count : {1, 2, 3, 23}) expect_products(*operations, stored, input, count);
    }
    const std::int64_t columns = 2 * kPanelColumns + 256;  // panels and groups, the last of each partial
    expect_products(*operations, random_matrix(GetParam(), 6 * kTileRows - 5, columns, 8),
                    random_inputs(*operations, 18, columns, 9), 18);
  }
}

TEST_P(EveryType, ExtremeCodesDoNotSaturate) {
  for (const Operations* operations : supported_operations()) {
    for (const unsigned fill : {0x00u, 0xffu, 0x80u, 0x7fu}) {
      if (!dtype_info(GetParam()).quantized) continue;
      Stored stored(GetParam(), 16, 256);
      for (std::byte& byte : stored.bytes) byte = static_cast<std::byte>(fill);
      for (std::size_t at = 0; at < stored.bytes.size(); at += dtype_info(GetParam()).block_bytes) {
        for (const std::size_t offset : half_offsets(GetParam())) stored.put_half(at + offset, 1.0f);
      }
      for (const float sign : {1.0f, -1.0f}) {
        Activations input(2, 256);
        for (std::int64_t i = 0; i < 512; ++i)
          input.row(0)[i] = i % 2 == 0 || i < 256 ? sign * 127.0f : -127.0f;
        input.encode(*operations, 0);
        input.encode(*operations, 1);
        expect_products(*operations, stored, input, 2);
      }
    }
  }
}

TEST_P(EveryType, NonFiniteWeightsAndInputsShow) {
  for (const Operations* operations : supported_operations()) {
    for (const float poison : {kNan, kInfinity, -kInfinity}) {
      Stored stored = random_matrix(GetParam(), 32, 256, 3);
      const Activations clean = random_inputs(*operations, 2, 256, 5);
      const auto scales = half_offsets(GetParam());  // MXFP4's are powers of two
      if (dtype_info(GetParam()).quantized && !scales.empty()) {
        stored.put_half(scales.back(), poison);
        expect_products(*operations, stored, clean, 2);
      }
      Activations poisoned = random_inputs(*operations, 2, 256, 5);
      poisoned.row(1)[200] = poison;
      poisoned.encode(*operations, 1);
      ThreadPool pool(1);
      const Packed packed(random_matrix(GetParam(), 32, 256, 4).view);
      std::vector<float> out(64);
      const std::vector<Product> products = {{&packed.matrix, out.data(), 32}};
      multiply(pool, *operations, poisoned, 0, 2, products);
      for (std::size_t j = 0; j < 32; ++j) {
        EXPECT_TRUE(std::isfinite(out[j]));
        EXPECT_FALSE(std::isfinite(out[32 + j])) << operations->name << " output " << j;
      }
    }
  }
}

// Logits must not depend on what else is in a step: each row's bits are those it gets alone.
TEST_P(EveryType, ARowHasTheSameBitsAloneAndInABatch) {
  constexpr std::int64_t kMost = 37;
  constexpr std::int64_t kRows = 40;
  for (const std::int64_t columns : {std::int64_t{256}, std::int64_t{96}, std::int64_t{2816}}) {
    if (columns % static_cast<std::int64_t>(dtype_info(GetParam()).block_elements) != 0) continue;
    const Packed packed(random_matrix(GetParam(), kRows, columns, 11).view);
    for (const Operations* operations : supported_operations()) {
      const Activations input = random_inputs(*operations, kMost, columns, 12);
      ThreadPool one(1);
      std::vector<float> alone(kMost * kRows);
      for (std::int64_t row = 0; row < kMost; ++row) {
        const Product product{&packed.matrix, alone.data() + row * kRows, kRows};
        multiply(one, *operations, input, row, 1, {&product, 1});
      }
      for (const std::int64_t count : {2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 31, 37}) {
        ThreadPool pool(static_cast<int>(1 + count % 3));
        std::vector<float> together(static_cast<std::size_t>(count * kRows));
        const Product product{&packed.matrix, together.data(), kRows};
        multiply(pool, *operations, input, kMost - count, count, {&product, 1});
        ASSERT_EQ(std::memcmp(together.data(), alone.data() + (kMost - count) * kRows, together.size() * 4),
                  0)
            << operations->name << ", " << count << " rows of " << columns;
      }
    }
  }
}

// Integer sums are exact and their few roundings come in one order, so that instruction sets agree as well.
TEST_P(EveryType, InstructionSetsGiveTheSameBits) {
  if (!dtype_info(GetParam()).quantized) GTEST_SKIP() << "sums of floats go by lanes";
  constexpr std::int64_t kCount = 29;
  const Packed packed(random_matrix(GetParam(), 32, 1280, 21).view);
  const Activations input = random_inputs(*all_operations().back(), kCount, 1280, 22);
  std::vector<float> first;
  for (const Operations* operations : supported_operations()) {
    if (operations->name == "scalar") continue;  // multiplies and adds with a rounding each
    ThreadPool pool(1);
    std::vector<float> out(kCount * 32);
    const Product product{&packed.matrix, out.data(), 32};
    multiply(pool, *operations, input, 0, kCount, {&product, 1});
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << operations->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryType,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                                         DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                                         DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL,
                                         DType::kIQ4_XS, DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4),
                         [](const auto& info) { return std::string(dtype_info(info.param).name); });

TEST(PlainTiles, OddColumnCountsAndBf16) {
  for (const Operations* operations : supported_operations()) {
    for (const std::int64_t columns : {1, 3, 31, 33}) {
      for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
        const Activations input = random_inputs(*operations, 19, columns, 9);
        for (const std::int64_t count : {1, 2, 19})
          expect_products(*operations, random_matrix(type, 17, columns, 2), input, count);
      }
    }
  }
}

TEST(PackedMatrix, RefusesWhatNoKernelMultiplies) {
  const Stored integers(DType::kI32, 16, 32);
  EXPECT_THROW(PackedMatrix::packed_bytes(integers.view), InputError);
  Stored cut(DType::kQ4_0, 16, 32);
  cut.view.data = cut.view.data.first(17);
  EXPECT_THROW(PackedMatrix::packed_bytes(cut.view), InputError);
}

TEST(PackedMatrix, FourBitWeightsStayFourBit) {
  EXPECT_EQ(Packed(Stored(DType::kQ4_0, 64, 512).view).matrix.bytes(), 64u * 512 * 9 / 16);
  EXPECT_EQ(Packed(Stored(DType::kQ6_K, 64, 512).view).matrix.bytes(), 64u * 512 * 105 / 128);
  EXPECT_EQ(Packed(Stored(DType::kQ4_0, 96, 2816).view).matrix.bytes(), 96u * 2816 * 9 / 16);
}

}  // namespace
}  // namespace stepdown::kernels
