#pragma once

#include "operator/local/api/schema.h"

namespace stepdown::local::api {

/// Applies a strategic merge patch with the merge keys and strategies of `schema`, and the directives $patch
/// (replace, delete, merge), $retainKeys, $deleteFromPrimitiveList/x and $setElementOrder/x. Throws ApiError
/// 400.
Json strategic_merge(Json base, const Json& patch, const Schema* schema);

}  // namespace stepdown::local::api
