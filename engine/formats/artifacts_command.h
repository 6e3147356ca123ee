#pragma once

#include "engine/base/program.h"

namespace stepdown::formats {

/// "artifacts --dir DIR": lists what lies there, prints a report, or removes artifacts and reports so that
/// nobody ever sees half of one.
Command artifacts_command();

}  // namespace stepdown::formats
