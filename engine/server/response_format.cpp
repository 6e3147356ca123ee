#include "engine/server/response_format.h"

#include <string>

#include <nlohmann/json.hpp>

#include "engine/server/api_error.h"

namespace stepdown::server {

std::shared_ptr<const schema::Schema> schema_of(const nlohmann::ordered_json& response_format) {
  const auto& format = response_format;
  if (!format.is_object() || !format.contains("type") || !format["type"].is_string()) {
    throw ApiError(400, "invalid_value", "'response_format' must be an object with a 'type'",
                   "response_format");
  }
  const auto type = format["type"].get<std::string>();
  if (type == "text") return nullptr;
  if (type == "json_object") return schema::Schema::any_object();
  if (type != "json_schema") {
    throw ApiError(400, "invalid_value", "'response_format.type' must be text, json_object or json_schema",
                   "response_format.type");
  }
  const bool given = format.contains("json_schema") && format["json_schema"].is_object() &&
                     format["json_schema"].contains("schema");
  if (!given)
    throw ApiError(400, "invalid_value", "'response_format.json_schema.schema' is missing",
                   "response_format.json_schema.schema");
  try {
    return schema::Schema::compile(format["json_schema"]["schema"]);
  } catch (const InputError& error) {
    throw ApiError(400, "unsupported_schema", error.what(), "response_format.json_schema.schema");
  }
}

}  // namespace stepdown::server
