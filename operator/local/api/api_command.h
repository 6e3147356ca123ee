#pragma once

#include "engine/base/program.h"

namespace stepdown::local {

/// "api --dir DIR [--port N]": the embedded API server alone.
Command api_command();

}  // namespace stepdown::local
