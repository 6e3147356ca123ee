#pragma once

#include <string>
#include <vector>

#include "operator/local/api/schema.h"

namespace stepdown::local::api {

/// Drops fields that the schema does not know and notes their paths ("spec.list[0].x") in `unknown`. `root`:
/// an API object, whose apiVersion, kind and metadata stay.
void prune(Json& value, const Schema& schema, bool root, std::vector<std::string>& unknown);

/// Fills in the schema's defaults where a field is absent (or null and not nullable, which else is dropped).
void apply_defaults(Json& value, const Schema& schema);

/// Checks values against the schema, CEL rules included. `old`: the object before an update; what an update
/// leaves as it was is not held against it. Errors are worded as the API server words them.
/// `metadata_limits`: further demands on `value.metadata`; null: none.
std::vector<Cause> validate(const Json& value, const Json* old, const Schema& schema,
                            const Schema* metadata_limits = nullptr);

}  // namespace stepdown::local::api
