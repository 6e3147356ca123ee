#pragma once

#include "engine/base/program.h"

namespace stepdown::runtime {

/// `stepdown-engine bench grammar`: how long schemas take to compile, and token masks to compute.
Command bench_grammar_command();

}  // namespace stepdown::runtime
