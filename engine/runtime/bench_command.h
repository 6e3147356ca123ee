#pragma once

#include "engine/base/program.h"

namespace stepdown::runtime {

/// `stepdown-engine bench`: tokens per second of one model, beside the limits of the machine.
Command bench_command();

}  // namespace stepdown::runtime
