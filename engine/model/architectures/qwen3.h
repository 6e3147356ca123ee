#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Qwen 3 (Yang et al. 2025): queries and keys are normed by head.
inline constexpr Architecture kQwen3 = {.name = "qwen3", .query_key_norm = QueryKeyNorm::kHead};

}  // namespace stepdown::model
