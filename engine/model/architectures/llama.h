#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Llama (Touvron et al. 2023), Mistral with its sliding window, Mixtral with its experts, SmolLM2: RMSNorm,
/// rotary positions, grouped-query attention, SwiGLU.
inline constexpr Architecture kLlama = {.name = "llama", .rope = RopeLayout::kNeighbours};

}  // namespace stepdown::model
