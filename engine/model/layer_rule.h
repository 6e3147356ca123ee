#pragma once

#include <cstdint>
#include <string>

#include "engine/formats/model_file.h"
#include "engine/model/architecture.h"
#include "engine/model/attention.h"

namespace stepdown::model {

/// How one layer's attention works.
struct LayerRule {
  AttentionRule attention;
  bool rotates = true;        ///< queries and keys know their positions
  bool sliding_rope = false;  ///< by the RoPE that layers with a window have for themselves
};
LayerRule layer_rule(const Architecture& architecture, const formats::ModelConfig& config,
                     std::int64_t layer);

/// The tensor that divides the rotary frequencies for so many tokens, where the file has it.
std::string rope_factors_name(const formats::RopeScaling& scaling, std::int64_t context);

}  // namespace stepdown::model
