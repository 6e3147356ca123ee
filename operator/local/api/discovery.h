#pragma once

#include "operator/local/api/request.h"
#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// Answers /api, /apis, /api/VERSION, /apis/GROUP and /apis/GROUP/VERSION; nullopt for other paths.
std::optional<Json> discover(const Registry& registry, const std::string& path);

}  // namespace stepdown::local::api
