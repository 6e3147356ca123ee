#include "operator/local/api/openapi.h"

#include <set>

#include "engine/base/hash.h"
#include "engine/base/version.h"
#include "operator/local/api/builtins.h"

namespace stepdown::local::api {
namespace {

constexpr std::string_view kV3Prefix = "#/components/schemas/";

std::string group_path(const Resource& resource) {
  return resource.group.empty() ? "api/" + resource.version
                                : "apis/" + resource.group + "/" + resource.version;
}

Json gvk(const Resource& resource) {
  return {{"group", resource.group}, {"version", resource.version}, {"kind", resource.kind}};
}

void collect_references(const Json& node, std::set<std::string>& names) {
  if (!node.is_structured()) return;
  if (node.is_object()) {
    if (const auto it = node.find("$ref"); it != node.end() && it->is_string()) {
      const std::string reference = *it;
      if (reference.starts_with(kV3Prefix)) names.insert(reference.substr(kV3Prefix.size()));
    }
  }
  for (const Json& child : node) collect_references(child, names);
}

/// A built-in schema with what is recorded to be said of it and its fields.
Json documented(Json schema, const Json& texts) {
  for (const auto& [field, text] : texts.items()) {
    if (field.empty()) {
      schema["description"] = text;
      continue;
    }
    Json& property = schema["properties"][field];
    // Beside a reference nothing else counts.
    if (const auto reference = property.find("$ref"); reference != property.end()) {
      property["allOf"] = Json::array({{{"$ref", *reference}}});
      property.erase("$ref");
    }
    property["description"] = text;
  }
  return schema;
}

/// `resource`'s schema and all that it refers to, into `out`.
void add_schemas(const Resource& resource, const Json& builtin_schemas, const Json& descriptions, Json& out) {
  std::set<std::string> pending;
  if (!resource.openapi.is_null()) {
    out[resource.schema_name] = resource.openapi;
    collect_references(resource.openapi, pending);
  } else {
    pending.insert(resource.schema_name);
  }
  while (!pending.empty()) {
    const std::string name = *pending.begin();
    pending.erase(pending.begin());
    if (out.contains(name) || !builtin_schemas.contains(name)) continue;
    out[name] = documented(builtin_schemas[name], descriptions.value(name, Json::object()));
    collect_references(out[name], pending);
  }
}

Json operation(const Resource& resource, const char* action, bool v2,
               const std::vector<const char*>& parameters) {
  Json list = Json::array();
  for (const char* name : parameters) {
    Json parameter = {{"name", name}, {"in", "query"}};
    if (v2) {
      parameter["type"] = "string";
      parameter["uniqueItems"] = true;
    } else {
      parameter["schema"] = {{"type", "string"}, {"uniqueItems", true}};
    }
    list.push_back(std::move(parameter));
  }
  return {{"x-kubernetes-action", action},
          {"x-kubernetes-group-version-kind", gvk(resource)},
          {"parameters", list},
          {"responses", {{"200", {{"description", "OK"}}}}}};
}

void add_paths(const Resource& resource, bool v2, Json& paths) {
  const std::string base =
      "/" + group_path(resource) + (resource.namespaced ? "/namespaces/{namespace}/" : "/") + resource.plural;
  const std::vector<const char*> writes = {"dryRun", "fieldManager", "fieldValidation", "pretty"};
  paths[base]["get"] =
      operation(resource, "list", v2, {"limit", "continue", "labelSelector", "fieldSelector", "watch"});
  paths[base]["post"] = operation(resource, "post", v2, writes);
  paths[base + "/{name}"]["get"] = operation(resource, "get", v2, {"pretty"});
  paths[base + "/{name}"]["put"] = operation(resource, "put", v2, writes);
  paths[base + "/{name}"]["patch"] =
      operation(resource, "patch", v2, {"dryRun", "fieldManager", "fieldValidation", "force", "pretty"});
  paths[base + "/{name}"]["delete"] =
      operation(resource, "delete", v2, {"dryRun", "gracePeriodSeconds", "propagationPolicy"});
}

Json info() {
  return {{"title", "Stepdown embedded API"}, {"version", std::string(kVersion)}};
}

/// OpenAPI 3 keywords that Swagger 2.0 lacks are dropped, references point to definitions.
Json to_v2(const Json& node) {
  if (node.is_array()) {
    Json out = Json::array();
    for (const Json& item : node) out.push_back(to_v2(item));
    return out;
  }
  if (!node.is_object()) return node;
  if (const auto it = node.find("$ref"); it != node.end() && it->is_string()) {
    const std::string reference = *it;
    return {{"$ref", "#/definitions/" + reference.substr(std::min(reference.size(), kV3Prefix.size()))}};
  }
  if (node.contains("allOf") && node["allOf"].is_array() && node["allOf"].size() == 1 &&
      node["allOf"][0].contains("$ref")) {
    Json out = to_v2(node["allOf"][0]);
    if (node.contains("description")) out["description"] = node["description"];
    return out;
  }
  Json out = Json::object();
  const bool any = node.value("x-kubernetes-int-or-string", Json()) == true;
  for (const auto& [key, value] : node.items()) {
    if (key == "oneOf" || key == "anyOf" || key == "not" || key == "nullable" ||
        key == "x-kubernetes-validations")
      continue;
    if (key == "type" && any) continue;
    if (key == "properties" && value.is_object()) {
      for (const auto& [name, member] : value.items()) out["properties"][name] = to_v2(member);
    } else {
      out[key] = key == "default" || key == "enum" || key == "example" ? value : to_v2(value);
    }
  }
  if (node.value("format", Json()) == "int-or-string") out["type"] = "string";
  return out;
}

}  // namespace

Json openapi_v3_index(const Registry& registry) {
  Json paths = Json::object();
  std::map<std::string, std::string>
      content;  // what the document depends on, so that clients may cache by its hash
  for (const auto& resource : registry.all()) {
    content[group_path(*resource)] +=
        resource->plural + (resource->openapi.is_null() ? std::string(kVersion) : resource->openapi.dump());
  }
  for (const auto& [path, text] : content)
    paths[path] = {{"serverRelativeURL", "/openapi/v3/" + path + "?hash=" + sha256_hex(text).substr(0, 32)}};
  return {{"paths", paths}};
}

Json openapi_v3(const Registry& registry, const Json& builtin_schemas, const std::string& wanted) {
  const Json descriptions = recorded_descriptions();
  Json schemas = Json::object();
  Json paths = Json::object();
  for (const auto& resource : registry.all()) {
    if (group_path(*resource) != wanted) continue;
    add_schemas(*resource, builtin_schemas, descriptions, schemas);
    add_paths(*resource, false, paths);
  }
  if (paths.empty()) return nullptr;
  return {{"openapi", "3.0.0"}, {"info", info()}, {"paths", paths}, {"components", {{"schemas", schemas}}}};
}

Json openapi_v2(const Registry& registry, const Json& builtin_schemas) {
  const Json descriptions = recorded_descriptions();
  Json schemas = Json::object();
  Json paths = Json::object();
  for (const auto& resource : registry.all()) {
    add_schemas(*resource, builtin_schemas, descriptions, schemas);
    add_paths(*resource, true, paths);
  }
  Json definitions = Json::object();
  for (const auto& [name, schema] : schemas.items()) definitions[name] = to_v2(schema);
  return {{"swagger", "2.0"}, {"info", info()}, {"paths", paths}, {"definitions", definitions}};
}

Response openapi_v2_response(const Registry& registry, const Json& builtin_schemas,
                             const std::string& accept) {
  const Json document = openapi_v2(registry, builtin_schemas);
  if (accept.find("proto-openapi.spec.v2") != std::string::npos) {
    Response response;
    response.content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    response.body = openapi_v2_protobuf(document);
    return response;
  }
  return json_response(200, document);
}

}  // namespace stepdown::local::api
