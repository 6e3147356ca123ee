#pragma once

#include "engine/base/program.h"

namespace stepdown::formats {

/// `stepdown-engine inspect`; its contract stands in ARCHITECTURE.md.
Command inspect_command();

}  // namespace stepdown::formats
