#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// The rule for an integer, or for a number with or without bounds. Bounded numbers are written without
/// exponent and with at most eight digits behind the point. Throws InputError for bounds that cannot be
/// enforced; nothing when no number lies between them.
std::optional<Node> number_node(const nlohmann::ordered_json& schema, bool integer, const std::string& path);

}  // namespace stepdown::schema
