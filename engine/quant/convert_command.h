#pragma once

#include "engine/base/program.h"

namespace stepdown::quant {

/// `stepdown-engine convert`: any model file → one F16 GGUF.
Command convert_command();

}  // namespace stepdown::quant
