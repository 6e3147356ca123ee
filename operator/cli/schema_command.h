#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "schema": prints the JSON Schema of the kinds, for editors and CI.
Command schema_command();

}  // namespace stepdown::cli
