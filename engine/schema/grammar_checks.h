#pragma once

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Computes every node's height. Throws InputError when alternatives refer to each other in a circle, or when
/// no document of bounded depth exists.
void check_grammar(Grammar& grammar);

}  // namespace stepdown::schema
