#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// The table of built-in resources, as recorded from a real API server (builtins/record).
struct Builtins {
  std::vector<std::shared_ptr<const Resource>> resources;
  Json schemas;  ///< OpenAPI components by name
  std::shared_ptr<SchemaSet> compiled;
  const Schema* object_meta = nullptr;
};

Builtins load_builtins();
/// builtins/messages.json: the layouts of API types in protobuf.
std::string_view recorded_messages();
/// builtins/descriptions.json: {schema: {field: text}}, the schema's own under "". Read for kubectl explain
/// alone.
Json recorded_descriptions();

}  // namespace stepdown::local::api
