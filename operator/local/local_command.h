#pragma once

#include "engine/base/program.h"

namespace stepdown::local {

/// "local": the embedded default, with a subcommand for each of its parts.
Command local_command();

}  // namespace stepdown::local
