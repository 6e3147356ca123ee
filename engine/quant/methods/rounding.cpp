#include "engine/quant/methods/rounding.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/formats/quantized/compressed_tensors.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/compressed_config.h"

namespace stepdown::quant {
namespace {

template <int kBits>
WeightSettings settle(WeightSettings asked) {
  if (asked.bits != 0 && asked.bits != kBits) {
    throw InputError("int" + std::to_string(kBits) + " has " + std::to_string(kBits) + " bits", "--bits",
                     "leave it out: the method's name says it");
  }
  asked.bits = kBits;
  if (asked.granularity.empty())
    asked.granularity = kBits == 8 && asked.group_size <= 0 ? "channel" : "group";
  if (asked.granularity == "group" && asked.group_size == 0) asked.group_size = 128;
  if (asked.granularity != "group" && asked.group_size > 0) {
    throw InputError("a group size goes with --granularity group", "--group-size", "leave one of them out");
  }
  if (asked.granularity == "channel" || asked.granularity == "tensor") {
    asked.group_size = -1;
  } else if (asked.granularity != "group") {
    throw InputError("\"" + asked.granularity + "\" is not supported", "--granularity",
                     "give tensor, channel or group");
  }
  if (asked.granularity == "tensor" && !asked.symmetric) {
    throw InputError("one scale a tensor goes with symmetric codes alone", "--asymmetric",
                     "give --granularity channel or group: compressed-tensors stores zeros for those");
  }
  return asked;
}

formats::AffineMatrix one_grid(const Matrix& weight, const GridSearch& search) {
  formats::AffineMatrix matrix = empty_affine(weight, search.bits, -1);
  const IntegerGrid grid = find_grid(weight.values, search);
  for (std::int64_t row = 0; row < weight.rows; ++row) set_grid(matrix, row, 0, grid);
  std::ranges::transform(weight.values, matrix.codes.begin(),
                         [&](float x) { return static_cast<std::uint8_t>(grid.code(x)); });
  return matrix;
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* /*inputs*/,
                         const WeightSettings& settings) {
  const GridSearch search{settings.bits, settings.symmetric, settings.search_clip};
  const bool one = settings.granularity == "tensor";
  const auto matrix = one ? one_grid(linear.weight, search)
                          : round_to_nearest(pool, linear.weight, settings.group_size, search);
  const auto shape = one ? formats::ScaleShape::kTensor : formats::ScaleShape::kGroups;
  return formats::pack_compressed(matrix, settings.symmetric, shape);
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  nlohmann::json weights = {{"num_bits", settings.bits},
                            {"type", "int"},
                            {"symmetric", settings.symmetric},
                            {"strategy", settings.granularity}};
  if (settings.group_size > 0) weights["group_size"] = settings.group_size;
  return compressed_config("pack-quantized", std::move(weights), nullptr, kept);
}

}  // namespace

constexpr std::string_view kOptions = "--bits --group-size --granularity --asymmetric --no-clip";

WeightMethod int8_method() {
  return {"int8", kOptions, needs_nothing, settle<8>, nullptr, one_by_one<quantize>, {}, config};
}

WeightMethod int4_method() {
  return {"int4", kOptions, needs_nothing, settle<4>, nullptr, one_by_one<quantize>, {}, config};
}

}  // namespace stepdown::quant
