#pragma once

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Makes the alternatives of every node plain: none of them has alternatives itself, none is named twice, and
/// all that are literals are one node. References multiply otherwise: thirty levels of two would be a billion
/// ways to go at each byte. No node may lead back to itself over alternatives alone. Throws InputError when
/// more are left than readings are followed, or the schema is too large.
void flatten_alternatives(Grammar& grammar);

}  // namespace stepdown::schema
