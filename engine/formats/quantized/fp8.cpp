#include "engine/formats/quantized/fp8.h"

#include "engine/formats/quantized/float8.h"

namespace stepdown::formats {

std::vector<float> values_of(const ScaledFloat8& matrix) {
  std::vector<float> values(matrix.codes.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t column = 0; column < matrix.columns; ++column) {
      const auto at = static_cast<std::size_t>(row * matrix.columns + column);
      values[at] = e4m3_to_f32(matrix.codes[at]) * matrix.scale(row, column);
    }
  }
  return values;
}

std::vector<NamedTensor> pack_fp8_blocks(const ScaledFloat8& matrix) {
  return {named_tensor<std::uint8_t>("weight", DType::kF8_E4M3, {matrix.rows, matrix.columns}, matrix.codes),
          named_tensor<float>("weight_scale_inv", DType::kF32, {matrix.tiles_down(), matrix.tiles_across()},
                              matrix.scales)};
}

ReadWeight fp8_reader(const JsonView& config) {
  std::int64_t block_rows = 0;
  std::int64_t block_columns = 0;
  if (const auto block = config.member("weight_block_size")) {
    const auto sides = block->items();
    if (sides.size() != 2) block->fail("is no pair of lengths", "the file is damaged");
    block_rows = sides[0].positive();
    block_columns = sides[1].positive();
  }
  return [=](const ModuleReader& module, std::int64_t rows, std::int64_t columns, DType plain) {
    ScaledFloat8 matrix;
    matrix.rows = rows;
    matrix.columns = columns;
    matrix.codes = module.values<std::uint8_t>("weight", DType::kF8_E4M3, {rows, columns});
    if (block_rows > 0) {
      matrix.tile_rows = block_rows;
      matrix.tile_columns = block_columns;
      matrix.scales = module.floats("weight_scale_inv", matrix.tiles_down() * matrix.tiles_across());
    } else {
      const std::string_view name = module.has("weight_scale") ? "weight_scale" : "weight_scale_inv";
      const TensorView& scale = module.tensor(name);
      const bool by_channel = scale.rows() * scale.columns() == rows && rows > 1;
      matrix.tile_rows = by_channel ? 1 : rows;
      matrix.tile_columns = columns;
      matrix.scales = module.floats(name, by_channel ? rows : 1);
    }
    return dense_form(values_of(matrix), plain);
  };
}

}  // namespace stepdown::formats
