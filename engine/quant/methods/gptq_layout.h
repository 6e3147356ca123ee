#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/quant/methods/weight_method.h"

/// What all methods that write AutoGPTQ's layout share.
namespace stepdown::quant {

/// Bits, group size and how zeros are stored. Throws InputError for what the layout does not have.
WeightSettings settle_gptq_layout(WeightSettings asked);

/// config.json's quantization_config. `scattered`: the columns of a group are no neighbours (g_idx counts);
/// `kept`: modules that stay as they are.
nlohmann::json gptq_layout_config(const WeightSettings& settings, bool scattered,
                                  const std::vector<std::string>& kept);

}  // namespace stepdown::quant
