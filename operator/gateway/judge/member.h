#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/base/json_nesting.h"

namespace stepdown::gateway {

/// Brackets nest deeper than anybody means to: parsing takes long, and what walks the value recurses.
inline bool nests_too_deep(std::string_view text) {
  constexpr int kDeepest = 128;
  return nests_deeper(text, kDeepest);
}

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
