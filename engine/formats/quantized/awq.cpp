#include "engine/formats/quantized/awq.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/base/half.h"

namespace stepdown::formats {
namespace {

constexpr std::array<std::size_t, 8> kOrder = {0, 2, 4, 6, 1, 3, 5, 7};  // of outputs in a word's nibbles

std::uint32_t pack_word(const std::array<std::uint32_t, 8>& codes) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 8; ++i) word |= codes[kOrder[i]] << (4 * i);
  return word;
}

/// [lines][outputs / 8] words as [outputs][lines] numbers; a word's lines are read one after the other.
template <class T>
std::vector<T> unpack(const std::vector<std::uint32_t>& words, std::size_t lines, std::size_t outputs) {
  const std::size_t width = outputs / kOrder.size();
  std::vector<T> out(outputs * lines);
  for (std::size_t word = 0; word < width; ++word) {
    for (std::size_t line = 0; line < lines; ++line) {
      std::uint32_t rest = words[line * width + word];
      for (const std::size_t output : kOrder) {
        out[(word * kOrder.size() + output) * lines + line] = static_cast<T>(rest & 15u);
        rest >>= 4;
      }
    }
  }
  return out;
}

}  // namespace

std::vector<NamedTensor> pack_awq(const AffineMatrix& matrix) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto columns = static_cast<std::size_t>(matrix.columns);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  if (rows % 8 != 0 || matrix.bits != 4) {
    throw InputError(
        std::to_string(rows) + " outputs at " + std::to_string(matrix.bits) + " bits do not fill whole words",
        "AWQ layout", "AWQ stores 4 bits; use method gptq");
  }
  const std::size_t width = rows / 8;
  std::vector<std::uint32_t> qweight(columns * width);
  std::vector<std::uint32_t> qzeros(groups * width);
  std::vector<std::uint16_t> scales(groups * rows);
  for (std::size_t word = 0; word < width; ++word) {
    std::array<std::uint32_t, 8> codes;
    for (std::size_t i = 0; i < columns; ++i) {
      for (std::size_t k = 0; k < 8; ++k) codes[k] = matrix.codes[(word * 8 + k) * columns + i];
      qweight[i * width + word] = pack_word(codes);
    }
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t k = 0; k < 8; ++k) {
        const std::size_t at = (word * 8 + k) * groups + g;
        codes[k] = static_cast<std::uint32_t>(matrix.zeros[at]) & 15u;
        scales[g * rows + word * 8 + k] = f32_to_f16(matrix.scales[at]);
      }
      qzeros[g * width + word] = pack_word(codes);
    }
  }
  const auto packed = static_cast<std::int64_t>(width);
  return {named_tensor<std::uint32_t>("qweight", DType::kI32, {matrix.columns, packed}, qweight),
          named_tensor<std::uint32_t>("qzeros", DType::kI32, {matrix.groups(), packed}, qzeros),
          named_tensor<std::uint16_t>("scales", DType::kF16, {matrix.groups(), matrix.rows}, scales)};
}

ReadWeight awq_reader(const JsonView& config) {
  const auto bits = config.number("bits", config.number("w_bit", 4));
  if (bits != 4) config.fail("AWQ with other than 4 bits is not supported", "give a 4-bit checkpoint");
  if (config.text("version", "gemm") != "gemm") {
    config.required("version").fail("is not supported", "supported is \"gemm\"");
  }
  const auto group_size =
      static_cast<std::int64_t>(config.number("group_size", config.number("q_group_size", 128)));
  return [group_size](const ModuleReader& module, std::int64_t rows, std::int64_t columns, DType plain) {
    AffineMatrix matrix;
    matrix.rows = rows;
    matrix.columns = columns;
    matrix.bits = 4;
    matrix.group_size = group_size > 0 ? std::min(group_size, columns) : columns;
    if (rows % 8 != 0) module.fail("its outputs do not fill whole words");
    const std::int64_t groups = matrix.groups();
    const auto qweight = module.values<std::uint32_t>("qweight", DType::kI32, {columns, rows / 8});
    const auto qzeros = module.values<std::uint32_t>("qzeros", DType::kI32, {groups, rows / 8});
    const auto scales = module.floats("scales", groups * rows);
    const auto out = static_cast<std::size_t>(rows);
    matrix.codes = unpack<std::uint8_t>(qweight, static_cast<std::size_t>(columns), out);
    matrix.zeros = unpack<std::int16_t>(qzeros, static_cast<std::size_t>(groups), out);
    matrix.scales.reserve(scales.size());
    for (std::size_t row = 0; row < out; ++row) {
      for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g)
        matrix.scales.push_back(scales[g * out + row]);
    }
    return dense_form(matrix, plain);
  };
}

}  // namespace stepdown::formats
