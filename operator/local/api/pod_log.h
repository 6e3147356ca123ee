#pragma once

#include <filesystem>

#include "operator/local/api/request.h"

namespace stepdown::local::api {

/// pods/NAME/log: the file <folder>/<namespace>_<pod>/<container>.log, with container, previous, tailLines,
/// limitBytes and follow. Throws ApiError 400 when the container is ambiguous or unknown.
Response pod_log(const std::filesystem::path& folder, const Json& pod, const Request& request);

}  // namespace stepdown::local::api
