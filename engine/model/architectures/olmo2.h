#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// OLMo 2 (Walsh et al. 2024): norms behind the blocks alone, queries and keys normed over all heads.
inline constexpr Architecture kOlmo2 = {
    .name = "olmo2", .query_key_norm = QueryKeyNorm::kAll, .norm_before = false, .norm_after = true};

}  // namespace stepdown::model
