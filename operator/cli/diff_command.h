#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "diff A B": what two QuantRevisions differ in.
Command diff_command();

}  // namespace stepdown::cli
