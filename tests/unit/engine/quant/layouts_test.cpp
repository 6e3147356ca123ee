// Layouts of quantized checkpoints: read as the software that wrote the goldens reads them
// (tests/goldens/quantized/ make_layouts.py), and written so that they come back as they were.
#include <cmath>
#include <filesystem>
#include <limits>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/base/mapped_file.h"
#include "engine/formats/quantized/awq.h"
#include "engine/formats/quantized/bitsandbytes.h"
#include "engine/formats/quantized/compressed_tensors.h"
#include "engine/formats/quantized/float8.h"
#include "engine/formats/quantized/fp8.h"
#include "engine/formats/quantized/gptq.h"
#include "engine/formats/safetensors.h"
#include "engine/kernels/dequantize.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

std::vector<float> values_of(const DenseForm& dense, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  kernels::dequantize_row(dense.type, dense.bytes, values);
  return values;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, DequantizesBitForBit) {
  const fs::path folder = fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/quantized";
  const JsonView settings = *read_json(folder / (GetParam() + ".json"));
  const MappedFile file(folder / (GetParam() + ".safetensors"));
  ModuleTensors tensors;
  for (TensorView& tensor : parse_safetensors(file.bytes(), GetParam())) tensors.emplace(tensor.name, tensor);
  const std::int64_t rows = settings.required("rows").positive();
  const std::int64_t columns = settings.required("columns").positive();
  const auto read = quantized_layout(settings.required("quantization_config"));
  const ModuleReader module(tensors, GetParam());
  const auto got = values_of(read(module, rows, columns, DType::kF16), rows * columns);
  const auto expected = module.floats("expected", rows * columns);
  for (std::size_t i = 0; i < got.size(); ++i) {
    // Block types hold the exact product, which the other software rounds to binary16.
    ASSERT_EQ(f16_to_f32(f32_to_f16(got[i])), f16_to_f32(f32_to_f16(expected[i]))) << i;
  }
}

std::vector<std::string> golden_cases() {
  std::vector<std::string> cases;
  for (const auto& entry :
       fs::directory_iterator(fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/quantized")) {
    if (entry.path().extension() == ".json") cases.push_back(entry.path().stem());
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(EveryLayout, Golden, testing::ValuesIn(golden_cases()),
                         [](const auto& test) { return test.param; });

AffineMatrix some_matrix(int bits, std::int64_t group_size, bool symmetric) {
  AffineMatrix matrix{64, 128, bits, group_size, {}, {}, {}, {}};
  unsigned state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u, state >> 16; };
  for (std::int64_t i = 0; i < matrix.rows * matrix.columns; ++i) {
    matrix.codes.push_back(static_cast<std::uint8_t>(next() % (1u << bits)));
  }
  for (std::int64_t i = 0; i < matrix.rows * matrix.groups(); ++i) {
    matrix.scales.push_back(f16_to_f32(f32_to_f16(0.001f * static_cast<float>(1 + next() % 97))));
    matrix.zeros.push_back(
        static_cast<std::int16_t>(symmetric ? 1u << (bits - 1) : 1 + next() % ((1u << bits) - 1)));
  }
  return matrix;
}

void expect_back(const AffineMatrix& matrix, const std::vector<NamedTensor>& packed, const char* config) {
  ModuleTensors tensors;
  for (const NamedTensor& tensor : packed) tensors.emplace(tensor.name, tensor.view());
  const auto read = quantized_layout(JsonView::parse(config, "config"));
  const auto got = values_of(read(ModuleReader(tensors, "module"), matrix.rows, matrix.columns, DType::kF32),
                             matrix.rows * matrix.columns);
  for (std::int64_t i = 0; i < matrix.rows * matrix.columns; ++i) {
    ASSERT_EQ(got[static_cast<std::size_t>(i)], matrix.value(i / matrix.columns, i % matrix.columns)) << i;
  }
}

TEST(Layouts, GiveBackWhatTheyWereGiven) {
  for (const int bits : {2, 3, 4, 8}) {
    const std::string config =
        R"({"quant_method": "gptq", "group_size": 32, "bits": )" + std::to_string(bits);
    auto matrix = some_matrix(bits, 32, false);
    expect_back(matrix, pack_gptq(matrix, GptqVersion::kV1), (config + R"(, "sym": false})").c_str());
    expect_back(matrix, pack_gptq(matrix, GptqVersion::kV2),
                (config + R"(, "sym": false, "checkpoint_format": "gptq_v2"})").c_str());
    for (std::int64_t i = 0; i < matrix.columns; ++i) matrix.group_of.push_back(static_cast<int>(i * 7 % 4));
    expect_back(matrix, pack_gptq(matrix, GptqVersion::kV1), (config + R"(, "sym": false})").c_str());
  }
  const auto awq = some_matrix(4, 64, false);
  expect_back(awq, pack_awq(awq), R"({"quant_method": "awq", "group_size": 64})");
  const auto symmetric = some_matrix(4, 128, true);
  expect_back(symmetric, pack_compressed(symmetric, true, ScaleShape::kGroups),
              R"({"quant_method": "compressed-tensors",
                  "config_groups": {"g": {"weights": {"num_bits": 4, "strategy": "channel"}}}})");
  const auto int8 = some_matrix(8, 128, true);
  expect_back(int8, pack_compressed_int8(int8, ScaleShape::kGroups),
              R"({"quant_method": "compressed-tensors",
                  "config_groups": {"g": {"weights": {"num_bits": 8, "strategy": "channel"}}}})");
}

TEST(Layouts, AGptqCheckpointThatSaysVersion1AndStoresTheZeroItselfIsRecognized) {
  const auto matrix = some_matrix(4, 32, true);
  expect_back(matrix, pack_gptq(matrix, GptqVersion::kV2),
              R"({"quant_method": "gptq", "bits": 4, "group_size": 32})");
}

TEST(Layouts, AZeroOfZeroNeedsVersion2) {
  auto matrix = some_matrix(4, 32, false);
  matrix.zeros[5] = 0;
  EXPECT_THROW(pack_gptq(matrix, GptqVersion::kV1), InputError);
  EXPECT_NO_THROW(pack_gptq(matrix, GptqVersion::kV2));
}

TEST(Layouts, SymmetricCodesBecomeBlocksThatKernelsMultiply) {
  EXPECT_EQ(dense_form(some_matrix(4, 32, true), DType::kF16).type, DType::kQ4_0);
  EXPECT_EQ(dense_form(some_matrix(4, 32, false), DType::kF16).type, DType::kQ5_0);
  EXPECT_EQ(dense_form(some_matrix(8, 128, true), DType::kF16).type, DType::kQ8_0);
  auto fine = some_matrix(4, 16, true);  // groups smaller than a block
  EXPECT_EQ(dense_form(fine, DType::kBF16).type, DType::kBF16);
  auto wide = some_matrix(4, 32, true);
  wide.scales[0] = 1e-9f;  // beyond binary16
  EXPECT_EQ(dense_form(wide, DType::kF16).type, DType::kF16);
}

TEST(Layouts, RefuseDamagedModules) {
  const auto matrix = some_matrix(4, 32, true);
  const auto packed = pack_gptq(matrix, GptqVersion::kV1);
  const auto read =
      quantized_layout(JsonView::parse(R"({"quant_method": "gptq", "bits": 4, "group_size": 32})", "c"));
  for (const NamedTensor& missing : packed) {
    if (missing.name == "g_idx") continue;
    ModuleTensors tensors;
    for (const NamedTensor& tensor : packed) {
      if (tensor.name != missing.name) tensors.emplace(tensor.name, tensor.view());
    }
    EXPECT_THROW(read(ModuleReader(tensors, "m"), 64, 128, DType::kF16), InputError) << missing.name;
    tensors.emplace(missing.name, TensorView{missing.name, missing.type, {1, 1}, missing.bytes});
    EXPECT_THROW(read(ModuleReader(tensors, "m"), 64, 128, DType::kF16), InputError) << missing.name;
  }
  ModuleTensors tensors;
  for (const NamedTensor& tensor : packed) tensors.emplace(tensor.name, tensor.view());
  std::vector<std::int32_t> groups(128, 4);  // there are 4, so 0 … 3
  tensors["g_idx"].data = std::as_bytes(std::span(groups));
  EXPECT_THROW(read(ModuleReader(tensors, "m"), 64, 128, DType::kF16), InputError);
  EXPECT_THROW(quantized_layout(JsonView::parse(R"({"quant_method": "gptq", "bits": 5})", "c")), InputError);
}

TEST(Float8, EveryByteComesBackAndValuesRoundToTheNearest) {
  for (int bits = 0; bits < 256; ++bits) {
    const auto byte = static_cast<std::uint8_t>(bits);
    const float value = e4m3_to_f32(byte);
    if (std::isnan(value)) continue;
    EXPECT_EQ(f32_to_e4m3(value), byte) << value;
  }
  EXPECT_EQ(e4m3_to_f32(f32_to_e4m3(1e9f)), 448.0f);
  EXPECT_EQ(e4m3_to_f32(f32_to_e4m3(17.0f)), 16.0f);  // a tie goes to even
  EXPECT_EQ(e4m3_to_f32(f32_to_e4m3(17.01f)), 18.0f);
  EXPECT_EQ(e4m3_to_f32(f32_to_e4m3(0.0009f)), 0.0f);  // below half of 2⁻⁹
  EXPECT_TRUE(std::isnan(e4m3_to_f32(f32_to_e4m3(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Nf4, TheDynamicMapIsThatOfBitsandbytes) {
  const MappedFile file(fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/quantized/nf4_double.safetensors");
  for (const TensorView& tensor : parse_safetensors(file.bytes(), "nf4_double")) {
    if (tensor.name != "weight.nested_quant_map") continue;
    std::vector<float> expected(256);
    kernels::dequantize_row(DType::kF32, tensor.data, expected);
    EXPECT_EQ(dynamic_map(), expected);
    return;
  }
  FAIL() << "the golden has no map";
}

}  // namespace
}  // namespace stepdown::formats
