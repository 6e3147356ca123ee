#pragma once

#include "engine/base/program.h"

namespace stepdown::server {

/// `stepdown-engine serve`
Command serve_command();

}  // namespace stepdown::server
