#pragma once

#include "engine/model/architecture.h"

namespace stepdown::model {

/// Phi 3 (Abdin et al. 2024): joined projections, some of each head may stay unrotated.
inline constexpr Architecture kPhi3 = {.name = "phi3"};

}  // namespace stepdown::model
