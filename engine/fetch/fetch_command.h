#pragma once

#include "engine/base/program.h"

namespace stepdown::fetch {

Command fetch_command();

}  // namespace stepdown::fetch
