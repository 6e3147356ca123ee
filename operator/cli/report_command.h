#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "report NAME": saves or opens the HTML report of an evaluation.
Command report_command();

}  // namespace stepdown::cli
