#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases on queries, keys and values.
inline constexpr Architecture kQwen2 = {.name = "qwen2"};

}  // namespace stepdown::model
