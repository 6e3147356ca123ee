#pragma once

#include <string_view>

#include "engine/memory/memory_model.h"

namespace stepdown::memory {

/// How a serving engine spends memory on CPUs, measured as VmHWM; {} for one that is not listed. On
/// accelerators its EngineProfile states the overhead.
EngineTraits engine_traits(std::string_view engine);

}  // namespace stepdown::memory
