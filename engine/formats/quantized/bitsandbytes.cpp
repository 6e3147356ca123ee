#include "engine/formats/quantized/bitsandbytes.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace stepdown::formats {
namespace {

constexpr std::array<float, 16> kLevels = {-1.0f,
                                           -0.6961928009986877f,
                                           -0.5250730514526367f,
                                           -0.39491748809814453f,
                                           -0.28444138169288635f,
                                           -0.18477343022823334f,
                                           -0.09105003625154495f,
                                           0.0f,
                                           0.07958029955625534f,
                                           0.16093020141124725f,
                                           0.24611230194568634f,
                                           0.33791524171829224f,
                                           0.44070982933044434f,
                                           0.5626170039176941f,
                                           0.7229568362236023f,
                                           1.0f};
constexpr const char* kState = "weight.quant_state.bitsandbytes__nf4";

/// Element values, given each block's magnitude.
std::vector<float> multiply_out(std::span<const std::uint8_t> codes, std::span<const float> levels,
                                std::span<const float> absmax, std::size_t count, std::size_t block) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t byte = codes[i / 2];
    values[i] = levels[i % 2 == 0 ? byte >> 4 : byte & 15] * absmax[i / block];
  }
  return values;
}

std::vector<float> denest(std::span<const std::uint8_t> absmax, std::span<const float> map,
                          std::span<const float> scales, std::size_t block, float offset) {
  std::vector<float> magnitudes(absmax.size());
  for (std::size_t i = 0; i < absmax.size(); ++i) {
    const float scaled = map[absmax[i]] * scales[i / block];
    magnitudes[i] = scaled + offset;
  }
  return magnitudes;
}

DenseForm read_nf4(const ModuleReader& module, std::int64_t rows, std::int64_t columns, DType plain) {
  const TensorView& packed_state = module.tensor(kState);
  const JsonView state = JsonView::parse(
      {reinterpret_cast<const char*>(packed_state.data.data()), packed_state.data.size()}, kState);
  if (state.text("quant_type", "") != "nf4") state.fail("quant_type is not nf4", "give an NF4 checkpoint");
  const auto block = static_cast<std::size_t>(state.required("blocksize").positive());
  const auto count = static_cast<std::size_t>(rows * columns);
  const std::size_t blocks = (count + block - 1) / block;
  const TensorView& weight = module.tensor("weight");
  if (weight.data.size() != (count + 1) / 2) module.fail("'weight' does not hold two elements a byte");
  const std::span codes(reinterpret_cast<const std::uint8_t*>(weight.data.data()), weight.data.size());
  const auto levels = module.floats("weight.quant_map", 16);
  std::vector<float> absmax;
  if (module.has("weight.nested_absmax")) {
    const auto nested_block = static_cast<std::size_t>(state.required("nested_blocksize").positive());
    const auto bytes =
        module.values<std::uint8_t>("weight.absmax", DType::kU8, {static_cast<std::int64_t>(blocks)});
    const auto scales = module.floats("weight.nested_absmax",
                                      static_cast<std::int64_t>((blocks + nested_block - 1) / nested_block));
    const auto map = module.floats("weight.nested_quant_map", 256);
    absmax = denest(bytes, map, scales, nested_block, static_cast<float>(state.number("nested_offset", 0)));
  } else {
    absmax = module.floats("weight.absmax", static_cast<std::int64_t>(blocks));
  }
  return dense_form(multiply_out(codes, levels, absmax, count, block), plain);
}

}  // namespace

std::span<const float> nf4_levels() {
  return kLevels;
}

std::vector<float> dynamic_map() {
  constexpr int kExponents = 7;
  std::vector<float> map = {0.0f, 1.0f};
  for (int i = 0; i < kExponents; ++i) {
    // torch.linspace(0.1, 1) in F32 and what follows there, operation by operation, so that all bits agree.
    const int count = 1 << i;
    const float step = (1.0f - 0.1f) / static_cast<float>(count);
    const auto bound = [&](int at) {
      if (at < (count + 1) / 2) return std::fma(step, static_cast<float>(at), 0.1f);
      return std::fma(-step, static_cast<float>(count - at), 1.0f);
    };
    const auto power = static_cast<float>(std::pow(10.0, i - (kExponents - 1)));
    for (int k = 0; k < count; ++k) {
      const float value = power * ((bound(k) + bound(k + 1)) / 2.0f);
      map.push_back(value);
      map.push_back(-value);
    }
  }
  std::ranges::sort(map);
  return map;
}

std::vector<float> values_of(const Nf4Matrix& matrix) {
  const auto absmax =
      denest(matrix.absmax, matrix.nested_map, matrix.nested_absmax, kNf4NestedBlock, matrix.offset);
  return multiply_out(matrix.codes, kLevels, absmax, static_cast<std::size_t>(matrix.rows * matrix.columns),
                      kNf4Block);
}

std::vector<NamedTensor> pack_nf4(const Nf4Matrix& matrix, const std::string& dtype) {
  const nlohmann::json state = {{"quant_type", "nf4"},
                                {"blocksize", kNf4Block},
                                {"dtype", dtype},
                                {"shape", {matrix.rows, matrix.columns}},
                                {"nested_blocksize", kNf4NestedBlock},
                                {"nested_dtype", "float32"},
                                {"nested_offset", matrix.offset}};
  const std::string text = state.dump();
  const auto length = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
  return {named_tensor<std::uint8_t>("weight", DType::kU8, {length(matrix.codes), 1}, matrix.codes),
          named_tensor<std::uint8_t>("weight.absmax", DType::kU8, {length(matrix.absmax)}, matrix.absmax),
          named_tensor<float>("weight.nested_absmax", DType::kF32, {length(matrix.nested_absmax)},
                              matrix.nested_absmax),
          named_tensor<float>("weight.nested_quant_map", DType::kF32, {256}, matrix.nested_map),
          named_tensor<float>("weight.quant_map", DType::kF32, {16}, kLevels),
          named_tensor<char>(kState, DType::kU8, {length(text)}, text)};
}

ReadWeight bitsandbytes_reader(const JsonView& config) {
  if (!config.boolean("load_in_4bit", false) || config.text("bnb_4bit_quant_type", "nf4") != "nf4") {
    config.fail("only bitsandbytes NF4 is supported",
                "give a checkpoint with load_in_4bit and bnb_4bit_quant_type nf4");
  }
  return read_nf4;
}

}  // namespace stepdown::formats
