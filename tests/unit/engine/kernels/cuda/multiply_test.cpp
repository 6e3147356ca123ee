// Products of every weight type on the device against the sum, in doubles, of the rows that the scalar
// reference decodes: over shapes with partial tiles, partial units and every number of tokens that chooses
// another kernel.
#include <cmath>
#include <cstring>
#include <random>

#include "tests/unit/engine/kernels/cuda/backend.h"

#include "engine/base/half.h"
#include "engine/kernels/cuda/device_weights.h"
#include "engine/kernels/dequantize.h"

namespace stepdown::kernels::cuda {
namespace {

std::vector<std::byte> random_blocks(DType type, std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 random(seed);
  const DTypeInfo& info = dtype_info(type);
  std::vector<std::byte> bytes(*row_bytes(type, static_cast<std::size_t>(columns)) *
                               static_cast<std::size_t>(rows));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  // Every binary16 in a block becomes a scale of ordinary size, of either sign; where they are, row by row of
  // blocks.h.
  const auto scale = [&](std::size_t at) {
    const std::uint16_t half = f32_to_f16(std::normal_distribution<float>(0.0f, 0.02f)(random));
    std::memcpy(bytes.data() + at, &half, sizeof half);
  };
  std::vector<std::size_t> places;
  switch (type) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      places = {0, 2};
      break;
    case DType::kQ2_K:
      places = {80, 82};
      break;
    case DType::kQ3_K:
      places = {108};
      break;
    case DType::kQ6_K:
      places = {208};
      break;
    case DType::kTQ1_0:
      places = {52};
      break;
    case DType::kTQ2_0:
      places = {64};
      break;
    default:
      places = {0};
  }
  for (std::size_t at = 0; at < bytes.size(); at += info.block_bytes) {
    if (type == DType::kF32) {
      const float value = std::normal_distribution<float>()(random);
      std::memcpy(bytes.data() + at, &value, sizeof value);
    } else if (type == DType::kBF16) {
      const std::uint16_t value = f32_to_bf16(std::normal_distribution<float>()(random));
      std::memcpy(bytes.data() + at, &value, sizeof value);
    } else if (type == DType::kMXFP4) {
      bytes[at] = static_cast<std::byte>(118 + random() % 8);
    } else {
      for (const std::size_t place : places) scale(at + place);
    }
  }
  return bytes;
}

struct Matrix {
  DType type;
  std::int64_t rows, columns;
  std::vector<std::byte> bytes;

  Matrix(DType of, std::int64_t height, std::int64_t width, unsigned seed)
      : type(of), rows(height), columns(width), bytes(random_blocks(of, height, width, seed)) {}
  TensorView view() const { return {"weights", type, {rows, columns}, bytes}; }
  std::vector<float> row(std::int64_t index) const {
    std::vector<float> values(static_cast<std::size_t>(columns));
    const std::size_t size = bytes.size() / static_cast<std::size_t>(rows);
    dequantize_row(type, std::span(bytes).subspan(static_cast<std::size_t>(index) * size, size), values);
    return values;
  }
};

struct Inputs {
  std::int64_t tokens, stride;
  std::vector<std::uint16_t> halves;

  Inputs(std::int64_t count, std::int64_t columns)
      : tokens(count),
        stride((columns + kUnitColumns - 1) / kUnitColumns * kUnitColumns),
        halves(static_cast<std::size_t>(count * stride)) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (std::int64_t token = 0; token < count; ++token) {
      for (std::int64_t i = 0; i < columns; ++i) at(token, i) = f32_to_f16(normal(random));
    }
  }
  std::uint16_t& at(std::int64_t token, std::int64_t i) {
    return halves[static_cast<std::size_t>(token * stride + i)];
  }
};

class Multiply : public OnBackends {
 protected:
  void expect_product(std::span<const Matrix> parts, Inputs inputs, bool accumulate,
                      std::size_t partial_floats = 0) {
    std::vector<TensorView> views;
    std::vector<std::vector<float>> rows;
    for (const Matrix& part : parts) {
      views.push_back(part.view());
      for (std::int64_t i = 0; i < part.rows; ++i) rows.push_back(part.row(i));
    }
    const WeightLayout layout = layout_of(views);
    std::vector<std::byte> packed(layout.bytes);
    ThreadPool pool(2);
    repack(views, layout, packed, pool);
    const Buffer weights = to_device(packed);
    const Buffer input = to_device(inputs.halves);
    const auto height = rows.size();
    const std::size_t stride = height + 3;
    const Buffer out = to_device(std::vector<float>(static_cast<std::size_t>(inputs.tokens) * stride, 0.5f));
    const Buffer partials(device(), partial_floats * sizeof(float));
    run(device().operations().multiply(device().stream(),
                                       {.weights = matrix_at(layout, weights.as()),
                                        .input = input.as<std::uint16_t>(),
                                        .input_stride = static_cast<std::int32_t>(inputs.stride),
                                        .tokens = static_cast<std::int32_t>(inputs.tokens),
                                        .out = out.as<float>(),
                                        .out_stride = static_cast<std::int32_t>(stride),
                                        .accumulate = accumulate,
                                        .partials = partials.as<float>(),
                                        .partial_capacity = partial_floats}));
    const auto results = to_host<float>(out);
    for (std::size_t token = 0; token < static_cast<std::size_t>(inputs.tokens); ++token) {
      for (std::size_t row = 0; row < stride; ++row) {
        const float result = results[token * stride + row];
        if (row >= height) {
          ASSERT_EQ(result, 0.5f) << "beyond the rows";
          continue;
        }
        double expected = accumulate ? 0.5 : 0.0;
        double magnitude = 0;
        for (std::size_t i = 0; i < rows[row].size(); ++i) {
          const double term = static_cast<double>(rows[row][i]) *
                              static_cast<double>(f16_to_f32(
                                  inputs.at(static_cast<std::int64_t>(token), static_cast<std::int64_t>(i))));
          expected += term;
          magnitude += std::abs(term);
        }
        // Weights are rounded to binary16 (2⁻¹¹) at most three times: scale, product, sum with the minimum.
        ASSERT_NEAR(static_cast<double>(result), expected, 1e-5 + magnitude * 1e-3)
            << dtype_info(parts.front().type).name << " row " << row << " token " << token;
      }
    }
  }
};

constexpr DType kTypes[] = {DType::kF32,   DType::kF16,   DType::kBF16, DType::kQ4_0,   DType::kQ4_1,
                            DType::kQ5_0,  DType::kQ5_1,  DType::kQ8_0, DType::kQ2_K,   DType::kQ3_K,
                            DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
                            DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4};

TEST_P(Multiply, EveryTypeForOneTokenAndForMany) {
  for (const DType type : kTypes) {
    const std::int64_t columns =
        dtype_info(type).block_elements == 256 ? 512 : 352;  // 352: half a unit at the end
    const Matrix weights(type, 45, columns, 1);
    expect_product({&weights, 1}, Inputs(1, columns), false);
    expect_product({&weights, 1}, Inputs(11, columns), true);
    expect_product({&weights, 1}, Inputs(19, columns), true);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Multiply, ColumnsAreSplitAmongWarpsAndBlocks) {
  const Matrix narrow(DType::kQ4_K, 16, 2048, 2);  // one tile: all eight warps share it
  expect_product({&narrow, 1}, Inputs(3, 2048), true);
  const Matrix tall(DType::kQ4_0, 1040, 64, 3);  // many tiles: one warp each
  expect_product({&tall, 1}, Inputs(8, 64), false);
  expect_product({&narrow, 1}, Inputs(70, 2048), true, 2 * 70 * 16);  // parts in the grid, added afterwards
  expect_product({&narrow, 1}, Inputs(70, 2048), true, 0);            // no room for them
}

TEST_P(Multiply, JoinedMatricesAreOneBelowTheOther) {
  const std::vector<Matrix> parts = {Matrix(DType::kQ8_0, 40, 96, 4), Matrix(DType::kIQ4_NL, 8, 96, 5),
                                     Matrix(DType::kQ8_0, 24, 96, 6)};
  expect_product(parts, Inputs(2, 96), false);
  const std::vector<TensorView> different = {parts[0].view(), Matrix(DType::kQ4_0, 8, 96, 7).view()};
  EXPECT_FALSE(joinable(different));
}

TEST_P(Multiply, NonFiniteInputsReachTheOutputs) {
  const Matrix weights(DType::kQ4_K, 16, 256, 8);
  Inputs inputs(2, 256);
  inputs.at(1, 77) = 0x7e00;
  std::vector<TensorView> views = {weights.view()};
  const WeightLayout layout = layout_of(views);
  std::vector<std::byte> packed(layout.bytes);
  ThreadPool pool(1);
  repack(views, layout, packed, pool);
  const Buffer memory = to_device(packed);
  const Buffer input = to_device(inputs.halves);
  const Buffer out = to_device(std::vector<float>(32));
  run(device().operations().multiply(device().stream(), {.weights = matrix_at(layout, memory.as()),
                                                         .input = input.as<std::uint16_t>(),
                                                         .input_stride = 256,
                                                         .tokens = 2,
                                                         .out = out.as<float>(),
                                                         .out_stride = 16}));
  const auto results = to_host<float>(out);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_TRUE(std::isfinite(results[i]));
    EXPECT_TRUE(std::isnan(results[16 + i]));
  }
}

TEST(DeviceWeights, RefuseWhatNoKernelMultiplies) {
  const std::vector<std::byte> bytes(64);
  const TensorView integers{"codes", DType::kI8, {1, 64}, bytes};
  EXPECT_THROW(layout_of({&integers, 1}), InputError);
  const TensorView short_of{"short", DType::kQ8_0, {4, 64}, bytes};
  EXPECT_THROW(layout_of({&short_of, 1}), InputError);
  const float large = 1e6f;
  std::vector<std::byte> values(64 * sizeof(float));
  std::memcpy(values.data(), &large, sizeof large);
  const TensorView beyond{"beyond", DType::kF32, {1, 64}, values};
  const WeightLayout layout = layout_of({&beyond, 1});
  std::vector<std::byte> packed(layout.bytes);
  ThreadPool pool(1);
  EXPECT_THROW(repack({&beyond, 1}, layout, packed, pool), InputError);
}

INSTANTIATE_TEST_SUITE_P(Cuda, Multiply, ::testing::ValuesIn(kBackends), backend_name);

}  // namespace
}  // namespace stepdown::kernels::cuda
