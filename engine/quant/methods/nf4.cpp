#include "engine/quant/methods/nf4.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/formats/quantized/bitsandbytes.h"

namespace stepdown::quant {
namespace {

using formats::kNf4Block;
using formats::kNf4NestedBlock;
using formats::Nf4Matrix;

/// Halfway between neighbouring levels; a value on one goes down, as bitsandbytes' does.
std::array<float, 15> bounds() {
  const auto levels = formats::nf4_levels();
  std::array<float, 15> result;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = (levels[i] + levels[i + 1]) / 2.0f;
  return result;
}

float largest_magnitude(std::span<const float> values) {
  float largest = 0.0f;
  for (const float x : values) largest = std::max(largest, std::fabs(x));
  return largest;
}

std::uint8_t nearest(std::span<const float> ascending, float value) {
  const auto above = std::ranges::lower_bound(ascending, value);
  if (above == ascending.begin()) return 0;
  const auto at = static_cast<std::size_t>(above - ascending.begin());
  if (at == ascending.size()) return static_cast<std::uint8_t>(at - 1);
  return static_cast<std::uint8_t>(value - ascending[at - 1] <= ascending[at] - value ? at - 1 : at);
}

/// The magnitudes of all blocks as bytes: less their mean, over the largest of 256 of them.
void nest(std::span<const float> absmax, Nf4Matrix& matrix) {
  double sum = 0;
  for (const float x : absmax) sum += x;
  matrix.offset = static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, absmax.size())));
  matrix.nested_map = formats::dynamic_map();
  std::vector<float> shifted(absmax.begin(), absmax.end());
  for (float& x : shifted) x -= matrix.offset;
  for (std::size_t first = 0; first < shifted.size(); first += kNf4NestedBlock) {
    const auto block =
        std::span(shifted).subspan(first, std::min<std::size_t>(kNf4NestedBlock, shifted.size() - first));
    const float largest = largest_magnitude(block);
    matrix.nested_absmax.push_back(largest);
    const float inverse = largest > 0 ? 1.0f / largest : 0.0f;
    for (const float x : block) matrix.absmax.push_back(nearest(matrix.nested_map, x * inverse));
  }
}

Nf4Matrix encode(const Matrix& weight) {
  Nf4Matrix matrix;
  matrix.rows = weight.rows;
  matrix.columns = weight.columns;
  const auto limits = bounds();
  std::vector<float> absmax;
  std::vector<std::uint8_t> codes;
  codes.reserve(weight.values.size());
  for (std::size_t first = 0; first < weight.values.size(); first += kNf4Block) {
    const auto block = std::span(weight.values)
                           .subspan(first, std::min<std::size_t>(kNf4Block, weight.values.size() - first));
    absmax.push_back(largest_magnitude(block));
    const float inverse = 1.0f / std::max(absmax.back(), 1e-38f);
    for (const float x : block) {
      const float scaled = std::clamp(x * inverse, -1.0f, 1.0f);
      codes.push_back(static_cast<std::uint8_t>(std::ranges::lower_bound(limits, scaled) - limits.begin()));
    }
  }
  if (codes.size() % 2 != 0) codes.push_back(7);  // the level 0
  for (std::size_t i = 0; i < codes.size(); i += 2) {
    matrix.codes.push_back(static_cast<std::uint8_t>(codes[i] << 4 | codes[i + 1]));
  }
  nest(absmax, matrix);
  return matrix;
}

WeightSettings settle(WeightSettings asked) {
  if ((asked.bits != 0 && asked.bits != 4) || asked.group_size != 0 || !asked.granularity.empty()) {
    throw InputError("NF4 has 4 bits and blocks of 64", "--bits, --group-size, --granularity",
                     "leave them out");
  }
  asked.bits = 4;
  asked.group_size = kNf4Block;
  return asked;
}

QuantizedWeight quantize(kernels::ThreadPool& /*pool*/, const Linear& linear, const StageInputs* /*inputs*/,
                         const WeightSettings& /*settings*/) {
  return formats::pack_nf4(encode(linear.weight), "float16");
}

nlohmann::json config(const WeightSettings& /*settings*/, const std::vector<std::string>& kept) {
  return {{"quant_method", "bitsandbytes"},
          {"load_in_4bit", true},
          {"load_in_8bit", false},
          {"_load_in_4bit", true},
          {"_load_in_8bit", false},
          {"bnb_4bit_quant_type", "nf4"},
          {"bnb_4bit_use_double_quant", true},
          {"bnb_4bit_compute_dtype", "float16"},
          {"bnb_4bit_quant_storage", "uint8"},
          {"llm_int8_enable_fp32_cpu_offload", false},
          {"llm_int8_has_fp16_weight", false},
          {"llm_int8_skip_modules", kept},
          {"llm_int8_threshold", 6.0}};
}

}  // namespace

WeightMethod nf4_method() {
  return {"nf4",         "--bits --group-size --granularity",
          needs_nothing, settle,
          nullptr,       one_by_one<quantize>,
          {0, 3.0},      config};
}

}  // namespace stepdown::quant
