#pragma once

#include <string_view>

#include "operator/local/api/cel/ast.h"

namespace stepdown::local::api::cel {

/// Parses one expression, macros expanded to kHas and kMacro nodes. Throws SyntaxError.
Node parse(std::string_view text);

}  // namespace stepdown::local::api::cel
