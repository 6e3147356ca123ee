#pragma once

#include "operator/local/api/cluster.h"
#include "operator/local/api/objects.h"
#include "operator/local/api/request.h"
#include "operator/local/api/table.h"

namespace stepdown::local::api {

/// One object as the client wants it shown.
Json shown(const Resource& resource, const Json& object, const View& view);

Response list_objects(Cluster& cluster, const Resource& resource, const Target& target,
                      const Request& request);
Response watch_objects(Cluster& cluster, std::shared_ptr<const Resource> resource, const Target& target,
                       const Request& request);

}  // namespace stepdown::local::api
