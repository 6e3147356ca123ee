#include "engine/quant/methods/smoothquant.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/formats/quantized/compressed_tensors.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/compressed_config.h"
#include "engine/quant/methods/equal_scaling.h"

namespace stepdown::quant {
namespace {

constexpr float kSmallest = 1e-5f;

void prepare(kernels::ThreadPool& /*pool*/, DecoderBlock& block, std::span<const Stage> stages,
             const See& see, const WeightSettings& settings) {
  for (const ScalingGroup& group : scaling_groups(block, stages)) {
    if (group.producer != nullptr) continue;  // the authors smooth behind norms alone
    const std::vector<float> largest = see(group.place).largest;
    std::vector<float> weight_largest(largest.size(), kSmallest);
    for (const Linear* linear : group.linears) {
      for (std::int64_t row = 0; row < linear->weight.rows; ++row) {
        for (std::size_t i = 0; i < largest.size(); ++i) {
          weight_largest[i] = std::max(weight_largest[i], std::fabs(linear->weight.row(row)[i]));
        }
      }
    }
    std::vector<float> scales;
    const auto alpha = static_cast<float>(settings.migration);
    for (std::size_t i = 0; i < largest.size(); ++i) {
      const float scale =
          std::pow(std::max(largest[i], kSmallest), alpha) / std::pow(weight_largest[i], 1 - alpha);
      scales.push_back(std::max(scale, kSmallest));
    }
    scale_equally(block, group, scales);
  }
}

WeightSettings settle(WeightSettings asked) {
  if ((asked.bits != 0 && asked.bits != 8) || asked.group_size != 0 || !asked.granularity.empty()) {
    throw InputError("SmoothQuant has 8 bits and a scale a channel", "--bits, --group-size, --granularity",
                     "leave them out");
  }
  if (!(asked.migration >= 0 && asked.migration <= 1)) {
    throw InputError("is not within 0 and 1", "--migration", "0.5 to 0.9 is usual");
  }
  asked.bits = 8;
  asked.group_size = -1;
  asked.symmetric = true;
  return asked;
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* inputs,
                         const WeightSettings& settings) {
  const auto matrix = round_to_nearest(pool, linear.weight, -1, {8, true, settings.search_clip});
  QuantizedWeight tensors = formats::pack_compressed_int8(matrix, formats::ScaleShape::kGroups);
  if (settings.static_activations) {
    const float largest = *std::ranges::max_element(inputs->largest);
    tensors.push_back(formats::named_tensor<float>("input_scale", DType::kF32, {1},
                                                   std::array{largest > 0 ? largest / 127 : 1.0f}));
  }
  return tensors;
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  const bool fixed = settings.static_activations;
  return compressed_config("int-quantized",
                           {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}},
                           {{"num_bits", 8},
                            {"type", "int"},
                            {"symmetric", true},
                            {"strategy", fixed ? "tensor" : "token"},
                            {"dynamic", !fixed}},
                           kept);
}

Needs needs(const WeightSettings& /*settings*/) {
  return Needs::kInputs;
}

}  // namespace

WeightMethod smoothquant_method() {
  return {"smoothquant",
          "--bits --group-size --granularity --no-clip --migration --static-activations",
          needs,
          settle,
          prepare,
          one_by_one<quantize>,
          {},
          config};
}

}  // namespace stepdown::quant
