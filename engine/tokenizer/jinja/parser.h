#pragma once

#include <string_view>

#include "engine/tokenizer/jinja/ast.h"

namespace stepdown::tokenizer::jinja {

/// Parses a template. Throws InputError with line and column; nesting beyond a few hundred levels is refused,
/// so that neither parsing nor rendering can exhaust the stack.
Block parse(std::string_view source);

}  // namespace stepdown::tokenizer::jinja
