#pragma once

#include "engine/base/program.h"

namespace stepdown::fetch {

/// "cache": copies a model to the node and links to what is to be served, or holds the copy.
Command node_cache_command();

}  // namespace stepdown::fetch
