#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// SmolLM 3 (Bakouch et al. 2025): Llama whose every fourth layer has no RoPE.
inline constexpr Architecture kSmollm3 = {
    .name = "smollm3", .rope = RopeLayout::kNeighbours, .unrotated_every = 4};

}  // namespace stepdown::model
