#pragma once

#include "engine/base/program.h"

namespace stepdown::quant {

/// `stepdown-engine quantize`; its contract stands in ARCHITECTURE.md.
Command quantize_command();

}  // namespace stepdown::quant
