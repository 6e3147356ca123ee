#pragma once

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Computes every node's height and flattens nested alternatives, so that none leads to another list of them.
/// Throws InputError when alternatives refer to each other in a circle, when a
/// value has thousands of them, or when no document of bounded depth exists.
void check_grammar(Grammar& grammar);

}  // namespace stepdown::schema
