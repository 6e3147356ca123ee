#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Gemma 2 (Riviere et al. 2024): norms around each block, every other layer slides, scores and logits are
/// capped.
inline constexpr Architecture kGemma2 = {
    .name = "gemma2", .activation = Activation::kGelu, .norm_after = true};

}  // namespace stepdown::model
