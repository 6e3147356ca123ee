#pragma once

#include <cmath>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/schema/grammar.h"
#include "engine/schema/schema.h"

namespace stepdown::schema {

std::vector<Violation> validate(const Grammar& grammar, const nlohmann::json& document);
/// The same of one node alone.
bool is_valid(const Grammar& grammar, NodeId node, const nlohmann::json& document);
/// The same by so many steps at most, over all calls: `steps` is what is left. Throws InputError when none
/// is.
bool is_valid(const Grammar& grammar, NodeId node, const nlohmann::json& document, std::size_t& steps);

/// JSON Schema's types: 1.0 is an integer.
template <typename Json>
bool is_of_type(const Json& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  if (!value.is_number_float()) return value.is_number();
  const auto number = value.template get<double>();
  return number == std::trunc(number);
}

}  // namespace stepdown::schema
