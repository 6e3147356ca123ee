#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/error.h"

namespace stepdown::cli {

/// What the API server would not take of an object of ours: values beyond its CRD's schema and rules, in the
/// API server's words, at their paths. What the operator's own parser tells better, metadata and unknown
/// fields, is left out.
std::vector<InputError> crd_faults(const nlohmann::json& object);

}  // namespace stepdown::cli
