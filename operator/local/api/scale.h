#pragma once

#include "operator/local/api/objects.h"
#include "operator/local/api/request.h"

namespace stepdown::local::api {

/// The scale subresource (autoscaling/v1 Scale). `body`: null reads, a Scale or a merge patch of one writes.
Response scale(Objects& objects, const Resource& resource, const Target& target, const Json& body,
               const WriteOptions& options);

}  // namespace stepdown::local::api
