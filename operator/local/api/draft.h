#pragma once

#include <string>
#include <vector>

#include "operator/local/api/objects.h"

namespace stepdown::local::api {

inline constexpr std::string_view kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";

/// A write on its way: the object in the request's version, what to call it, and what was noticed.
struct Objects::Draft {
  Json object;
  Key key;
  std::string subresource;
  WriteOptions options;
  std::vector<std::string> warnings = {};
  bool applied = false;  ///< managedFields are settled

  Writer writer() const;
  /// Brings what a client sent into the resource's shape: pruned, defaulted, with built-in types checked.
  /// Throws ApiError for what no object of that kind can be.
  void decode(const Resource& resource, const Schema& object_meta);
};

/// Older clients print Go's zero time as null.
void drop_null_metadata(Json& object);
/// Throws ApiError unless the object says that it is of that kind.
void check_kind(const Json& object, const Resource& resource);
/// A change of spec is a new generation of it.
bool counts_generations(const Resource& resource);

}  // namespace stepdown::local::api
