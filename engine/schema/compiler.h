#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/grammar.h"

namespace stepdown::schema {

/// Throws InputError with the JSON path of what is unknown, unsupported or contradictory.
std::shared_ptr<const Grammar> compile_grammar(const nlohmann::ordered_json& schema);
/// Any JSON object.
std::shared_ptr<const Grammar> object_grammar();

}  // namespace stepdown::schema
