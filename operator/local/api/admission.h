#pragma once

#include "operator/local/api/resource.h"
#include "operator/local/api/store.h"

namespace stepdown::local::api {

/// What a built-in kind needs beyond its schema. `old` is null on creation.
struct Admission {
  const Json* old = nullptr;
  Store::Transaction* store = nullptr;
};

/// Defaults that depend on other fields; the writer owns them as if written. Runs after schema defaults.
void complete_defaults(Json& object, const Resource& resource);

/// Fills in what the API server decides: allocated addresses, generated selectors, first status. No manager
/// owns it.
void admit(Json& object, const Resource& resource, const Admission& admission);

/// Rules that no schema tells: immutable fields, selectors that match their templates.
std::vector<Cause> check_builtin(const Json& object, const Json* old, const Resource& resource);

/// Defaults that Go code sets and OpenAPI does not tell, added to the recorded schemas.
void add_static_defaults(Json& schemas);

}  // namespace stepdown::local::api
