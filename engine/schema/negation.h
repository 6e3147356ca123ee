#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace stepdown::schema {

/// A schema that is valid for exactly what `schema` is not valid for: `not` by De Morgan's laws, keyword by
/// keyword. {"not": {"enum": […]}} alone is left as it is. Throws InputError with the path for keywords that
/// have no exact opposite here.
nlohmann::ordered_json negated(const nlohmann::ordered_json& schema, const std::string& path);

}  // namespace stepdown::schema
