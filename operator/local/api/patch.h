#pragma once

#include "operator/local/api/objects.h"

/// What a PATCH asks for, before anything is checked against the schema's values.
namespace stepdown::local::api {

/// The configuration of a server-side apply: only what its sender may own, without unknown fields. `live`:
/// the object as it stands, empty when there is none. Throws ApiError for what cannot be applied.
Json applied_configuration(const Json& patch, const Json& live, const Resource& resource, const Key& key,
                           const std::string& subresource, const Schema& object_meta);

/// `live` changed by a JSON, merge or strategic merge patch. Throws ApiError for a patch that does not fit.
Json patched(const Json& live, const Json& patch, PatchType type, const Resource& resource);

}  // namespace stepdown::local::api
