#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Gemma 3 (Kamath et al. 2025): five sliding layers to one that sees everything, with a RoPE of its own.
inline constexpr Architecture kGemma3 = {.name = "gemma3",
                                         .query_key_norm = QueryKeyNorm::kHead,
                                         .activation = Activation::kGelu,
                                         .norm_after = true};

}  // namespace stepdown::model
