#pragma once

#include "operator/local/api/field_set.h"
#include "operator/local/api/schema.h"

namespace stepdown::local::api {

/// Walks over objects as structured-merge-diff defines them: maps and lists are granular or atomic as the
/// schema says; a null schema means: nothing is known, so maps are granular and lists atomic.

/// The set of all fields that `value` sets.
FieldSet fields_of(const Json& value, const Schema* schema);

struct Difference {
  FieldSet added, modified, removed;
};
Difference compare(const Json& before, const Json& after, const Schema* schema);

/// `patch` laid over `base`: granular parts item by item, all else replaced.
Json merge_typed(const Json& base, const Json& patch, const Schema* schema);

/// Takes the members of `unwanted` out of `value`; a branch stays while `kept` holds anything in it.
void remove_fields(Json& value, const FieldSet& unwanted, const FieldSet& kept, const Schema* schema);

/// The path element of a list's item: "k:{…}" or "v:…". Throws ApiError 400 when a key is missing.
std::string item_element(const Json& item, const Schema& list);
bool granular_list(const Schema* schema);
/// Merge keys of `item`, defaults filled in.
Json item_keys(const Json& item, const Schema& list);

}  // namespace stepdown::local::api
