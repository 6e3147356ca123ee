#pragma once

#include <set>

#include <nlohmann/json.hpp>

namespace stepdown::schema {

/// JSON values as JSON Schema compares them: objects whatever the order of their members, numbers by value.
class ValueSet {
 public:
  ValueSet() = default;
  explicit ValueSet(const nlohmann::ordered_json& list) {
    for (const nlohmann::ordered_json& value : list) add(value);
  }
  /// Whether it was not there before.
  bool add(const nlohmann::ordered_json& value) { return values_.insert(value).second; }
  bool contains(const nlohmann::ordered_json& value) const { return values_.contains(value); }

 private:
  std::set<nlohmann::json> values_;
};

}  // namespace stepdown::schema
