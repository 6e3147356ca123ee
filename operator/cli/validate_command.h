#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "validate FILE…": checks YAML files offline with the operator's own rules.
Command validate_command();

}  // namespace stepdown::cli
