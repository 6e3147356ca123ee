#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Two of the nodes, by their place, for which one document might be valid, or nothing when none is valid for
/// two. Types, values, bounds, lengths, and properties that both objects require tell nodes apart: a field
/// that names the kind does, as discriminated unions have it. Of flattened alternatives; takes away from
/// `steps`, and throws InputError when they do not suffice.
std::optional<std::pair<std::size_t, std::size_t>> overlapping(const Grammar& grammar,
                                                               std::span<const NodeId> nodes,
                                                               std::size_t& steps);

}  // namespace stepdown::schema
