#pragma once

#include "operator/local/api/request.h"
#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// /openapi/v3: the index of documents.
Json openapi_v3_index(const Registry& registry);
/// The document of one group and version; null when it is not served.
Json openapi_v3(const Registry& registry, const Json& builtin_schemas, const std::string& group_path);
/// /openapi/v2: one Swagger 2.0 document.
Json openapi_v2(const Registry& registry, const Json& builtin_schemas);
/// That document as gnostic's protobuf.
std::string openapi_v2_protobuf(const Json& document);
/// The same as JSON or, as older kubectl ask for it, as protobuf.
Response openapi_v2_response(const Registry& registry, const Json& builtin_schemas,
                             const std::string& accept);

}  // namespace stepdown::local::api
