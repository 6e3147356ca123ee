#pragma once

#include <nlohmann/json_fwd.hpp>

namespace stepdown::server {

/// Checks a chat's messages and joins contents given in text parts. Throws ApiError that names the place.
nlohmann::ordered_json read_messages(const nlohmann::ordered_json& messages);

}  // namespace stepdown::server
