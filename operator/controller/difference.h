#pragma once

#include <nlohmann/json_fwd.hpp>

namespace stepdown::controller {

/// Whether `desired` must be applied over `observed`: its applied-hash differs, or somebody changed a field
/// that it sets. Fields that only the server or others set do not count. Quantities below "resources" are
/// left to the hash, as the server rewrites them ("1024Mi" → "1Gi").
bool must_apply(const nlohmann::json& desired, const nlohmann::json& observed);

/// The status as the operator applies it: without what the gateway owns.
nlohmann::json own_status(nlohmann::json status);

}  // namespace stepdown::controller
