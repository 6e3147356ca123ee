#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Granite 3 (IBM 2024): Llama with scales on embeddings, residuals, scores and logits.
inline constexpr Architecture kGranite = {.name = "granite", .rope = RopeLayout::kNeighbours};

}  // namespace stepdown::model
