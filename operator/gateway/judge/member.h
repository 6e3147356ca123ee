#pragma once

#include <nlohmann/json.hpp>

namespace stepdown::gateway {

/// The member of an object, or null for anything else: foreign JSON is read without a throw. For json and
/// ordered_json.
template <class Json>
const Json& member(const Json& value, const char* name) {
  static const Json kNull;
  if (!value.is_object()) return kNull;
  const auto found = value.find(name);
  return found == value.end() ? kNull : *found;
}

}  // namespace stepdown::gateway
