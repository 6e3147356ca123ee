#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/schema.h"

namespace stepdown::server {

/// The schema that `response_format` asks for; null for text. Throws ApiError that names the keyword it
/// cannot enforce.
std::shared_ptr<const schema::Schema> schema_of(const nlohmann::ordered_json& response_format);

}  // namespace stepdown::server
