#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "review NAME": the prompts that a candidate answers worse than FP16, side by side.
Command review_command();

}  // namespace stepdown::cli
