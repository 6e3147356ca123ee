#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Qwen 3 with experts (Yang et al. 2025).
inline constexpr Architecture kQwen3moe = {.name = "qwen3moe", .query_key_norm = QueryKeyNorm::kHead};

}  // namespace stepdown::model
