#include "engine/quant/methods/fp8.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/formats/quantized/compressed_tensors.h"
#include "engine/formats/quantized/float8.h"
#include "engine/formats/quantized/fp8.h"
#include "engine/quant/methods/compressed_config.h"

namespace stepdown::quant {
namespace {

using formats::ScaledFloat8;

constexpr std::int64_t kBlock = 128;

ScaledFloat8 encode(kernels::ThreadPool& pool, const Matrix& weight, const std::string& granularity) {
  ScaledFloat8 matrix;
  matrix.rows = weight.rows;
  matrix.columns = weight.columns;
  matrix.tile_rows = granularity == "tensor" ? weight.rows : granularity == "channel" ? 1 : kBlock;
  matrix.tile_columns = granularity == "block" ? kBlock : weight.columns;
  matrix.codes.resize(weight.values.size());
  std::vector<float> largest(static_cast<std::size_t>(matrix.tiles_down() * matrix.tiles_across()));
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t column = 0; column < weight.columns; ++column) {
      float& tile = largest[static_cast<std::size_t>(row / matrix.tile_rows * matrix.tiles_across() +
                                                     column / matrix.tile_columns)];
      tile = std::max(tile, std::fabs(weight.row(row)[column]));
    }
  }
  for (const float x : largest) matrix.scales.push_back(x > 0 ? x / formats::kLargestE4m3 : 1.0f);
  pool.each(weight.rows, [&](std::int64_t row, int /*worker*/) {
    for (std::int64_t column = 0; column < weight.columns; ++column) {
      matrix.codes[static_cast<std::size_t>(row * weight.columns + column)] =
          formats::f32_to_e4m3(weight.row(row)[column] / matrix.scale(row, column));
    }
  });
  return matrix;
}

WeightSettings settle(WeightSettings asked) {
  if ((asked.bits != 0 && asked.bits != 8) || asked.group_size != 0) {
    throw InputError("FP8 has 8 bits and no groups", "--bits, --group-size",
                     "leave them out; see --granularity");
  }
  asked.bits = 8;
  if (asked.granularity.empty()) asked.granularity = asked.static_activations ? "tensor" : "channel";
  if (asked.granularity != "tensor" && asked.granularity != "channel" && asked.granularity != "block") {
    throw InputError("\"" + asked.granularity + "\" is not supported", "--granularity",
                     "give tensor, channel or block");
  }
  if (asked.static_activations && asked.granularity == "block") {
    throw InputError("blocks go with dynamic activations", "--static-activations", "leave one of them out");
  }
  return asked;
}

Needs needs(const WeightSettings& settings) {
  return settings.static_activations ? Needs::kInputs : Needs::kNothing;
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* inputs,
                         const WeightSettings& settings) {
  const ScaledFloat8 matrix = encode(pool, linear.weight, settings.granularity);
  QuantizedWeight tensors = settings.granularity == "block" ? formats::pack_fp8_blocks(matrix)
                                                            : formats::pack_compressed_float8(matrix);
  if (settings.static_activations && inputs != nullptr) {
    const float largest = *std::ranges::max_element(inputs->largest);
    const float scale = largest > 0 ? largest / formats::kLargestE4m3 : 1.0f;
    tensors.push_back(formats::named_tensor<float>("input_scale", DType::kF32, {1}, std::array{scale}));
  }
  return tensors;
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  if (settings.granularity == "block") {
    return {{"quant_method", "fp8"},
            {"activation_scheme", "dynamic"},
            {"weight_block_size", {kBlock, kBlock}},
            {"modules_to_not_convert", kept}};
  }
  const nlohmann::json weights = {
      {"num_bits", 8}, {"type", "float"}, {"symmetric", true}, {"strategy", settings.granularity}};
  const bool fixed = settings.static_activations;
  const nlohmann::json activations = {{"num_bits", 8},
                                      {"type", "float"},
                                      {"symmetric", true},
                                      {"strategy", fixed ? "tensor" : "token"},
                                      {"dynamic", !fixed}};
  return compressed_config("float-quantized", weights, activations, kept);
}

}  // namespace

WeightMethod fp8_method() {
  return {"fp8",    "--bits --group-size --granularity --static-activations",
          needs,    settle,
          nullptr,  one_by_one<quantize>,
          {0, 3.2}, config};
}

}  // namespace stepdown::quant
