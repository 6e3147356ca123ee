#pragma once

#include <vector>

#include "engine/base/program.h"

namespace stepdown::cli {

/// "promote", "approve", "rollback", "retry", "pause", "resume": commands to the operator, which it
/// acknowledges in status.command. They are the annotation stepdown.dev/command: verb/digest/uuid.
std::vector<Command> verb_commands();

}  // namespace stepdown::cli
