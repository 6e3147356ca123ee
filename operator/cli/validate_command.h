#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "validate FILE|DIR|-": checks YAML files offline with the operator's own rules.
Command validate_command();

/// "rules": prints docs/rules.md.
Command rules_command();

}  // namespace stepdown::cli
