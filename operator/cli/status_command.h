#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "status NAME [--watch]".
Command status_command();

}  // namespace stepdown::cli
