#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace stepdown::local::api {

/// Parses a request body; nesting is limited so that no later recursion can overflow a stack. Throws ApiError
/// 400.
nlohmann::json parse_json(std::string_view text);
nlohmann::json parse_yaml(std::string_view text);
/// By content type: JSON, YAML, or 415 for anything else (protobuf, say).
nlohmann::json parse_body(std::string_view text, std::string_view content_type);

}  // namespace stepdown::local::api
