#pragma once

#include "engine/base/program.h"

namespace stepdown::cli {

/// "recommend": a QuantizedModel for a model, hardware, load and task, offline.
Command recommend_command();

}  // namespace stepdown::cli
