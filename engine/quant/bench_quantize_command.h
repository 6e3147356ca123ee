#pragma once

#include "engine/base/program.h"

namespace stepdown::quant {

/// `stepdown-engine bench quantize`: how long each method takes on a model, a layer and a byte.
Command bench_quantize_command();

}  // namespace stepdown::quant
