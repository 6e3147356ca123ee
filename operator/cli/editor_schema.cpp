#include "operator/cli/editor_schema.h"

#include <string>

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

json converted(const json& schema);

json converted_properties(const json& properties) {
  json out = json::object();
  for (const auto& [name, property] : properties.items()) out[name] = converted(property);
  return out;
}

/// A structural schema without what only an API server understands, closed to unknown fields as pruning is.
json converted(const json& schema) {
  if (!schema.is_object()) return schema;
  json out = json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key.starts_with("x-kubernetes-") || key == "nullable") continue;
    if (key == "properties")
      out[key] = converted_properties(value);
    else if (key == "items" || key == "additionalProperties")
      out[key] = converted(value);
    else
      out[key] = value;
  }
  const bool open = schema.contains("x-kubernetes-preserve-unknown-fields");
  if (out.contains("properties") && !out.contains("additionalProperties") && !open) {
    out["additionalProperties"] = false;
  }
  if (schema.contains("nullable") && out.contains("type")) out["type"] = {out["type"], "null"};
  return out;
}

/// Of one kind. Metadata is the API server's, status the operator's: neither is anybody's to mistype.
json of_kind(const json& crd, const std::string& api_version, const std::string& kind, const json& version) {
  json out = converted(kube::value_at(version, "/schema/openAPIV3Schema"));
  json& properties = out["properties"];
  properties["apiVersion"] = {{"const", api_version}};
  properties["kind"] = {{"const", kind}};
  properties["metadata"]["type"] = "object";
  properties["metadata"].erase("additionalProperties");
  if (properties.contains("status")) properties["status"] = {{"type", "object"}};
  out["required"] = {"apiVersion", "kind", "metadata", "spec"};
  out["title"] = kind + " (" + kube::text_at(crd, "/metadata/name") + ")";
  return out;
}

}  // namespace

json editor_schema(std::span<const json> crds) {
  json definitions = json::object(), cases = json::array();
  for (const json& crd : crds) {
    const std::string kind = kube::text_at(crd, "/spec/names/kind");
    for (const json& version : kube::value_at(crd, "/spec/versions")) {
      const std::string api_version =
          kube::text_at(crd, "/spec/group") + "/" + kube::text_at(version, "/name");
      const std::string name = kind + "." + kube::text_at(version, "/name");
      definitions[name] = of_kind(crd, api_version, kind, version);
      const json marks = {{"apiVersion", {{"const", api_version}}}, {"kind", {{"const", kind}}}};
      cases.push_back({{"if", {{"properties", marks}, {"required", {"apiVersion", "kind"}}}},
                       {"then", {{"$ref", "#/definitions/" + name}}}});
    }
  }
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", "Manifests of stepdown.dev"},
          {"type", "object"},
          {"allOf", std::move(cases)},
          {"definitions", std::move(definitions)}};
}

}  // namespace stepdown::cli
