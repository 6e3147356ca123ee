#pragma once

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Refuses rules that lead back to themselves over alternatives alone.
void check_circles(const Grammar& grammar);
/// Fills in every node's height; refuses grammars of which no document is shallow enough.
void set_heights(Grammar& grammar);

}  // namespace stepdown::schema
