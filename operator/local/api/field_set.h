#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local::api {

/// A set of field paths: what a manager owns. Children are keyed by path elements in fieldsV1's own spelling:
/// "f:<name>", "k:{<keys>}" for an item of a map-like list, "v:<value>" for one of a set.
struct FieldSet {
  bool member = false;  ///< the path that leads here is itself in the set
  std::map<std::string, FieldSet> children;

  bool empty() const;
  void unite(const FieldSet& other);
  void subtract(const FieldSet& other);
  FieldSet intersection(const FieldSet& other) const;
  /// Drops branches that hold no member.
  void trim();
  /// Paths as messages print them: ".spec.containers[name=\"web\"].image".
  std::vector<std::string> paths() const;

  /// Throws ApiError 400 on anything that is not fieldsV1.
  static FieldSet decode(const nlohmann::json& fields_v1);
  nlohmann::json encode() const;
};

bool operator==(const FieldSet& left, const FieldSet& right);

}  // namespace stepdown::local::api
