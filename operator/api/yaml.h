#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::api {

/// The documents of a YAML (or JSON) stream as JSON, empty ones left out. Plain scalars are typed as kubectl
/// types them: null, true/false, integers, floats; all else, and everything quoted, is a string. Throws
/// InputError with `origin`:line of a syntax error, a repeated key or a key that is no scalar.
std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin);

/// yaml-cpp lets other bytes through, which no JSON may hold.
bool is_utf8(std::string_view text);

}  // namespace stepdown::api
