#pragma once

#include "engine/base/program.h"

namespace stepdown::local {

/// "up": starts the API server, the node agent and the operator, and keeps them running.
Command up_command();
/// "down": stops what "up" started, pods included.
Command down_command();

}  // namespace stepdown::local
