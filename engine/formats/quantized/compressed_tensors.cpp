#include "engine/formats/quantized/compressed_tensors.h"

#include <algorithm>
#include <array>

#include "engine/base/half.h"
#include "engine/formats/quantized/bit_stream.h"
#include "engine/formats/quantized/float8.h"

namespace stepdown::formats {
namespace {

using Words = std::vector<std::uint32_t>;

/// What one config group says of its weights.
struct Scheme {
  int bits;
  bool floating;
  bool symmetric;
  std::string strategy;
  std::int64_t group_size;
  std::int64_t block_rows, block_columns;
};

Scheme scheme_of(const JsonView& config) {
  const JsonView groups = config.required("config_groups");
  if (groups.json().size() != 1) {
    groups.fail("holds " + std::to_string(groups.json().size()) + " schemes",
                "one scheme for all layers is supported");
  }
  const JsonView weights = groups.required(groups.json().begin().key()).required("weights");
  Scheme scheme{static_cast<int>(weights.required("num_bits").positive()),
                weights.text("type", "int") == "float",
                weights.boolean("symmetric", true),
                weights.text("strategy", "tensor"),
                static_cast<std::int64_t>(weights.number("group_size", -1)),
                0,
                0};
  if (scheme.bits > 8 || (scheme.floating && scheme.bits != 8)) {
    weights.fail(std::to_string(scheme.bits) + " bits are not supported",
                 "supported are integers to 8 bits and FP8");
  }
  if (const auto block = weights.member("block_structure")) {
    const auto sides = block->items();
    if (sides.size() != 2) block->fail("is no pair of lengths", "the file is damaged");
    scheme.block_rows = sides[0].positive();
    scheme.block_columns = sides[1].positive();
  }
  static constexpr std::array kStrategies = {"tensor", "channel", "group", "block"};
  if (std::ranges::find(kStrategies, scheme.strategy) == kStrategies.end()) {
    weights.required("strategy").fail("is not supported", "supported are tensor, channel, group and block");
  }
  return scheme;
}

/// Codes of a packed line of `count`.
void unpack_line(std::span<const std::uint32_t> words, std::int64_t count, int bits, auto&& put) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) put(i, get_code(words, i, bits));
}

AffineMatrix empty_matrix(const Scheme& scheme, std::int64_t rows, std::int64_t columns) {
  AffineMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.bits = scheme.bits;
  matrix.group_size =
      scheme.strategy == "group" && scheme.group_size > 0 ? std::min(scheme.group_size, columns) : columns;
  return matrix;
}

void read_scales(const ModuleReader& module, const Scheme& scheme, AffineMatrix& matrix) {
  const auto count = static_cast<std::size_t>(matrix.rows * matrix.groups());
  if (scheme.strategy == "tensor") {
    matrix.scales.assign(count, module.floats("weight_scale", 1)[0]);
  } else {
    matrix.scales = module.floats("weight_scale", static_cast<std::int64_t>(count));
  }
}

AffineMatrix read_packed(const ModuleReader& module, const Scheme& scheme, std::int64_t rows,
                         std::int64_t columns) {
  AffineMatrix matrix = empty_matrix(scheme, rows, columns);
  const auto in = static_cast<std::size_t>(columns);
  const auto out = static_cast<std::size_t>(rows);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const std::size_t width = packed_words(in, scheme.bits);
  const auto packed =
      module.values<std::uint32_t>("weight_packed", DType::kI32, {rows, static_cast<std::int64_t>(width)});
  matrix.codes.resize(out * in);
  for (std::size_t row = 0; row < out; ++row) {
    unpack_line(std::span(packed).subspan(row * width, width), columns, scheme.bits,
                [&](std::size_t i, std::uint32_t code) {
                  matrix.codes[row * in + i] = static_cast<std::uint8_t>(code);
                });
  }
  read_scales(module, scheme, matrix);
  matrix.zeros.assign(out * groups, static_cast<std::int16_t>(1 << (scheme.bits - 1)));
  if (!scheme.symmetric) {
    const std::size_t height = packed_words(out, scheme.bits);
    const auto zeros = module.values<std::uint32_t>("weight_zero_point", DType::kI32,
                                                    {static_cast<std::int64_t>(height), matrix.groups()});
    for (std::size_t g = 0; g < groups; ++g) {
      Words words(height);
      for (std::size_t i = 0; i < height; ++i) words[i] = zeros[i * groups + g];
      unpack_line(words, rows, scheme.bits, [&](std::size_t row, std::uint32_t code) {
        matrix.zeros[row * groups + g] = static_cast<std::int16_t>(code);
      });
    }
  }
  if (module.has("weight_g_idx")) {
    matrix.group_of = module.values<std::int32_t>("weight_g_idx", DType::kI32, {columns});
    for (const std::int32_t group : matrix.group_of) {
      if (group < 0 || group >= matrix.groups())
        module.fail("'weight_g_idx' names a group that does not exist");
    }
  }
  return matrix;
}

AffineMatrix read_int8(const ModuleReader& module, const Scheme& scheme, std::int64_t rows,
                       std::int64_t columns) {
  AffineMatrix matrix = empty_matrix(scheme, rows, columns);
  matrix.codes = module.values<std::uint8_t>("weight", DType::kI8, {rows, columns});
  for (std::uint8_t& code : matrix.codes) code ^= 0x80;  // int8 → offset 128
  read_scales(module, scheme, matrix);
  const auto count = static_cast<std::size_t>(rows * matrix.groups());
  matrix.zeros.assign(count, 128);
  if (!scheme.symmetric) {
    const TensorView& view = module.tensor("weight_zero_point");
    if (view.type != DType::kI8 || (view.data.size() != count && view.data.size() != 1)) {
      module.fail("'weight_zero_point' is no I8 for each group");
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto zero = static_cast<std::int8_t>(view.data[view.data.size() == 1 ? 0 : i]);
      matrix.zeros[i] = static_cast<std::int16_t>(zero + 128);
    }
  }
  return matrix;
}

ScaledFloat8 read_float8(const ModuleReader& module, const Scheme& scheme, std::int64_t rows,
                         std::int64_t columns) {
  ScaledFloat8 matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.tile_rows = rows;
  matrix.tile_columns = columns;
  if (scheme.strategy == "channel" || scheme.strategy == "group") matrix.tile_rows = 1;
  if (scheme.strategy == "group" && scheme.group_size > 0) matrix.tile_columns = scheme.group_size;
  if (scheme.strategy == "block" && scheme.block_rows > 0) {
    matrix.tile_rows = scheme.block_rows;
    matrix.tile_columns = scheme.block_columns;
  }
  matrix.codes = module.values<std::uint8_t>("weight", DType::kF8_E4M3, {rows, columns});
  matrix.scales = module.floats("weight_scale", matrix.tiles_down() * matrix.tiles_across());
  return matrix;
}

std::size_t stored_scales(const AffineMatrix& matrix, ScaleShape shape) {
  return shape == ScaleShape::kTensor ? 1 : matrix.scales.size();
}

std::vector<std::int64_t> scale_shape(const AffineMatrix& matrix, ScaleShape shape) {
  if (shape == ScaleShape::kTensor) return {1};
  return {matrix.rows, matrix.groups()};
}

}  // namespace

std::vector<NamedTensor> pack_compressed(const AffineMatrix& matrix, bool symmetric, ScaleShape shape) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto columns = static_cast<std::size_t>(matrix.columns);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const std::size_t width = packed_words(columns, matrix.bits);
  Words packed(rows * width);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto line = std::span(packed).subspan(row * width, width);
    for (std::size_t i = 0; i < columns; ++i) put_code(line, i, matrix.bits, matrix.codes[row * columns + i]);
  }
  std::vector<std::uint16_t> scales(stored_scales(matrix, shape));
  std::ranges::transform(std::span(matrix.scales).first(scales.size()), scales.begin(), f32_to_f16);
  const std::array<std::int64_t, 2> extents = {matrix.rows, matrix.columns};
  std::vector<NamedTensor> tensors = {
      named_tensor<std::uint32_t>("weight_packed", DType::kI32,
                                  {matrix.rows, static_cast<std::int64_t>(width)}, packed),
      named_tensor<std::uint16_t>("weight_scale", DType::kF16, scale_shape(matrix, shape), scales),
      named_tensor<std::int64_t>("weight_shape", DType::kI64, {2}, extents)};
  if (!symmetric) {
    const std::size_t height = packed_words(rows, matrix.bits);
    Words zeros(height * groups);
    for (std::size_t g = 0; g < groups; ++g) {
      Words words(height);
      for (std::size_t row = 0; row < rows; ++row) {
        put_code(words, row, matrix.bits, static_cast<std::uint32_t>(matrix.zeros[row * groups + g]));
      }
      for (std::size_t i = 0; i < height; ++i) zeros[i * groups + g] = words[i];
    }
    tensors.push_back(named_tensor<std::uint32_t>(
        "weight_zero_point", DType::kI32, {static_cast<std::int64_t>(height), matrix.groups()}, zeros));
  }
  if (!matrix.group_of.empty()) {
    tensors.push_back(
        named_tensor<std::int32_t>("weight_g_idx", DType::kI32, {matrix.columns}, matrix.group_of));
  }
  return tensors;
}

std::vector<NamedTensor> pack_compressed_int8(const AffineMatrix& matrix, ScaleShape shape) {
  std::vector<std::uint8_t> codes = matrix.codes;
  for (std::uint8_t& code : codes) code ^= 0x80;
  const auto scales = std::span(matrix.scales).first(stored_scales(matrix, shape));
  return {named_tensor<std::uint8_t>("weight", DType::kI8, {matrix.rows, matrix.columns}, codes),
          named_tensor<float>("weight_scale", DType::kF32, scale_shape(matrix, shape), scales)};
}

std::vector<NamedTensor> pack_compressed_float8(const ScaledFloat8& matrix) {
  const std::vector<std::int64_t> shape =
      matrix.scales.size() == 1 ? std::vector<std::int64_t>{1}
                                : std::vector<std::int64_t>{matrix.tiles_down(), matrix.tiles_across()};
  return {named_tensor<std::uint8_t>("weight", DType::kF8_E4M3, {matrix.rows, matrix.columns}, matrix.codes),
          named_tensor<float>("weight_scale", DType::kF32, shape, matrix.scales)};
}

ReadWeight compressed_tensors_reader(const JsonView& config) {
  const Scheme scheme = scheme_of(config);
  return [scheme](const ModuleReader& module, std::int64_t rows, std::int64_t columns, DType plain) {
    if (scheme.floating) return dense_form(values_of(read_float8(module, scheme, rows, columns)), plain);
    if (module.has("weight_packed")) return dense_form(read_packed(module, scheme, rows, columns), plain);
    return dense_form(read_int8(module, scheme, rows, columns), plain);
  };
}

}  // namespace stepdown::formats
