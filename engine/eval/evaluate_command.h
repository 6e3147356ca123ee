#pragma once

#include "engine/base/program.h"

namespace stepdown::eval {

/// `stepdown-engine evaluate`.
Command evaluate_command();

}  // namespace stepdown::eval
