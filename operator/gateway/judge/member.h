#pragma once

#include <nlohmann/json.hpp>

namespace stepdown::gateway {

/// The member of an object, or null for anything else: foreign JSON is read without a throw.
inline const nlohmann::json& member(const nlohmann::json& value, const char* name) {
  static const nlohmann::json kNull;
  if (!value.is_object()) return kNull;
  const auto found = value.find(name);
  return found == value.end() ? kNull : *found;
}

}  // namespace stepdown::gateway
