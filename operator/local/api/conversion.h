#pragma once

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// Between the version that a request speaks and the one that is stored. Versions of a custom resource differ
/// in apiVersion alone; Events of core/v1 and events.k8s.io/v1 are one object under two sets of names.
Json to_storage(Json object, const Resource& resource);
Json from_storage(Json object, const Resource& resource);

}  // namespace stepdown::local::api
