#pragma once

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// No document is valid for both nodes; false also when that cannot be told. Types, values, bounds, lengths,
/// and properties that both objects require tell nodes apart: a field that names the kind does, as
/// discriminated unions have it.
bool are_disjoint(const Grammar& grammar, NodeId a, NodeId b);

}  // namespace stepdown::schema
