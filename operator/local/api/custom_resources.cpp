#include "operator/local/api/custom_resources.h"

#include <algorithm>
#include <set>

#include "operator/local/api/cel/program.h"
#include "operator/local/api/cel/type_check.h"
#include "operator/local/api/clock.h"
#include "operator/local/api/formats.h"
#include "operator/local/api/json_path.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

constexpr const char* kObjectMeta = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const std::vector<std::string> kVerbs = {"delete", "deletecollection", "get",    "list",
                                         "patch",  "create",           "update", "watch"};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Json condition(const char* type, const char* reason, const char* message) {
  return {{"type", type},
          {"status", "True"},
          {"reason", reason},
          {"message", message},
          {"lastTransitionTime", now_rfc3339()}};
}

const Json* version_schema(const Json& version) {
  const auto schema = version.find("schema");
  if (schema == version.end() || !schema->is_object() || !schema->contains("openAPIV3Schema")) return nullptr;
  return &(*schema)["openAPIV3Schema"];
}

/// A CRD may restrict the name and generateName of its objects, and nothing else of their metadata.
Json metadata_limits(const Json& version) {
  Json limits = Json::object();
  const Json* schema = version_schema(version);
  for (const char* name : {"name", "generateName"}) {
    const Json::json_pointer place(std::string("/properties/metadata/properties/") + name);
    if (schema != nullptr && schema->contains(place)) limits[name] = schema->at(place);
  }
  return limits;
}

/// Walks a schema as the structural rules ask: every node typed, no unknown keyword, rules that compile.
class SchemaCheck {
 public:
  explicit SchemaCheck(std::vector<Cause>& causes) : causes_(causes) {}

  void node(const Json& schema, const std::string& path, bool in_junctor, int depth) {
    static const std::set<std::string, std::less<>> kKnown = {"type",
                                                              "format",
                                                              "title",
                                                              "description",
                                                              "default",
                                                              "maximum",
                                                              "minimum",
                                                              "exclusiveMaximum",
                                                              "exclusiveMinimum",
                                                              "maxLength",
                                                              "minLength",
                                                              "pattern",
                                                              "maxItems",
                                                              "minItems",
                                                              "uniqueItems",
                                                              "multipleOf",
                                                              "enum",
                                                              "maxProperties",
                                                              "minProperties",
                                                              "required",
                                                              "items",
                                                              "allOf",
                                                              "oneOf",
                                                              "anyOf",
                                                              "not",
                                                              "properties",
                                                              "additionalProperties",
                                                              "externalDocs",
                                                              "example",
                                                              "nullable",
                                                              "x-kubernetes-preserve-unknown-fields",
                                                              "x-kubernetes-embedded-resource",
                                                              "x-kubernetes-int-or-string",
                                                              "x-kubernetes-list-map-keys",
                                                              "x-kubernetes-list-type",
                                                              "x-kubernetes-map-type",
                                                              "x-kubernetes-validations"};
    if (!schema.is_object() || depth > 60) {
      causes_.push_back(invalid_field(path, "\"\"", "must be a schema nested at most 60 levels"));
      return;
    }
    for (const auto& [key, ignored] : schema.items()) {
      if (!kKnown.contains(key))
        causes_.push_back(forbidden_field(path + "." + key, "not supported in a structural schema"));
    }
    const bool any_type =
        truth(schema, "x-kubernetes-int-or-string") || truth(schema, "x-kubernetes-preserve-unknown-fields");
    if (!schema.contains("type") && !any_type && !in_junctor) {
      causes_.push_back(required_field(
          path + ".type", "must not be empty for specified " +
                              std::string(path.ends_with(".items") ? "array items" : "object fields")));
    }
    if (schema.value("type", Json()) == "array" && !schema.contains("items")) {
      causes_.push_back(required_field(path + ".items", "must be specified"));
    }
    if (truth(schema, "uniqueItems"))
      causes_.push_back(forbidden_field(
          path + ".uniqueItems",
          "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
    list_type(schema, path);
    pattern(schema, path);
    rules(schema, path);
    if (schema.contains("properties") && schema["properties"].is_object()) {
      for (const auto& [name, member] : schema["properties"].items())
        node(member, path + ".properties[" + name + "]", in_junctor, depth + 1);
    }
    if (schema.contains("items")) node(schema["items"], path + ".items", in_junctor, depth + 1);
    if (schema.contains("additionalProperties") && schema["additionalProperties"].is_object()) {
      node(schema["additionalProperties"], path + ".additionalProperties", in_junctor, depth + 1);
    }
    for (const char* junctor : {"allOf", "anyOf", "oneOf"}) {
      if (!schema.contains(junctor) || !schema[junctor].is_array()) continue;
      for (std::size_t i = 0; i < schema[junctor].size(); ++i) {
        node(schema[junctor][i], path + "." + junctor + "[" + std::to_string(i) + "]", true, depth + 1);
      }
    }
    if (schema.contains("not")) node(schema["not"], path + ".not", true, depth + 1);
  }

 private:
  static bool truth(const Json& schema, const char* key) {
    return schema.contains(key) && schema[key] == true;
  }

  void list_type(const Json& schema, const std::string& path) {
    if (schema.value("x-kubernetes-list-type", Json()) != "map") return;
    const Json keys = schema.value("x-kubernetes-list-map-keys", Json::array());
    if (!keys.is_array() || keys.empty()) {
      causes_.push_back(required_field(path + ".x-kubernetes-list-map-keys",
                                       "must not be empty if x-kubernetes-list-type is map"));
      return;
    }
    const Json items = schema.value("items", Json::object());
    for (const Json& key : keys) {
      const Json member =
          key.is_string() ? items.value("properties", Json::object()).value(key.get<std::string>(), Json())
                          : Json();
      if (member.is_null()) {
        causes_.push_back(invalid_field(path + ".x-kubernetes-list-map-keys", key.dump(),
                                        "must be a property of the items"));
      }
    }
  }

  void pattern(const Json& schema, const std::string& path) {
    if (!schema.contains("pattern") || !schema["pattern"].is_string()) return;
    try {
      const Regex compiled(schema["pattern"].get<std::string>());
    } catch (const ApiError& error) {
      causes_.push_back(invalid_field(path + ".pattern", schema["pattern"].dump(), error.what()));
    }
  }

  void rules(const Json& schema, const std::string& path) {
    if (!schema.contains("x-kubernetes-validations") || !schema["x-kubernetes-validations"].is_array())
      return;
    std::size_t i = 0;
    for (const Json& rule : schema["x-kubernetes-validations"]) {
      const std::string place = path + ".x-kubernetes-validations[" + std::to_string(i++) + "]";
      for (const char* key : {"rule", "messageExpression"}) {
        if (!rule.is_object() || !rule.contains(key) || !rule[key].is_string()) continue;
        const std::string text = rule[key];
        const auto result = std::string_view(key) == "rule" ? cel::Result::kBool : cel::Result::kString;
        try {
          const cel::Program program = cel::Program::compile(text);
          cel::check_types(program, text, schema, path.ends_with("openAPIV3Schema"),
                           truth(rule, "optionalOldSelf"), result);
        } catch (const cel::SyntaxError& error) {
          causes_.push_back(invalid_field(place + "." + key, in_quotes(text),
                                          std::string("compilation failed: ERROR: ") + error.what()));
        }
      }
      for (const auto& [key, ignored] : rule.items()) {
        static const std::set<std::string, std::less<>> kKeys = {"rule",   "message",   "messageExpression",
                                                                 "reason", "fieldPath", "optionalOldSelf"};
        if (!kKeys.contains(key))
          causes_.push_back(forbidden_field(place + "." + key, "not supported by this server"));
      }
    }
  }

  std::vector<Cause>& causes_;
};

void check_version(const Json& version, const std::string& path, std::vector<Cause>& causes) {
  const Json* schema = version_schema(version);
  if (schema == nullptr) {
    causes.push_back(required_field(path + ".schema.openAPIV3Schema", "schemas are required"));
    return;
  }
  SchemaCheck(causes).node(*schema, path + ".schema.openAPIV3Schema", false, 0);
  if (!version.contains("additionalPrinterColumns")) return;
  for (const Json& column : version["additionalPrinterColumns"]) {
    try {
      const JsonPath parsed(column.value("jsonPath", ""));
    } catch (const ApiError& error) {
      causes.push_back(invalid_field(path + ".additionalPrinterColumns.jsonPath",
                                     in_quotes(column.value("jsonPath", "")), error.what()));
    }
  }
}

std::vector<Column> columns_of(const Json& version) {
  std::vector<Column> columns = {{"Name", "string", "name", 0, {}, {}}};
  if (version.contains("additionalPrinterColumns") && !version["additionalPrinterColumns"].empty()) {
    for (const Json& source : version["additionalPrinterColumns"]) {
      columns.push_back(
          {source.value("name", ""), source.value("type", "string"), source.value("format", ""),
           source.value("priority", 0), source.value("jsonPath", ""),
           source.value("description", "Custom resource definition column (in JSONPath format): " +
                                           source.value("jsonPath", ""))});
    }
  } else {
    columns.push_back({"Age", "date", "", 0, ".metadata.creationTimestamp", {}});
  }
  return columns;
}

}  // namespace

void complete_definition(Json& crd, const Json* old) {
  Json& spec = crd["spec"];
  Json& names = spec["names"];
  if (!names.is_object() || !spec.contains("versions") || !spec["versions"].is_array())
    return;  // validation tells
  const std::string kind = names.value("kind", "");
  if (names.value("singular", "").empty()) names["singular"] = lower(kind);
  if (names.value("listKind", "").empty()) names["listKind"] = kind + "List";
  if (!spec.contains("conversion")) spec["conversion"] = {{"strategy", "None"}};
  for (Json& version : spec["versions"]) {
    if (!version.is_object() || !version.contains("additionalPrinterColumns")) continue;
  }
  Json& status = crd["status"];
  if (old != nullptr && old->contains("status")) status = (*old)["status"];
  if (!status.is_object()) status = Json::object();
  status["acceptedNames"] = names;
  Json& stored = status["storedVersions"];
  if (!stored.is_array()) stored = Json::array();
  for (const Json& version : spec["versions"]) {
    if (version.is_object() && version.value("storage", false) &&
        std::find(stored.begin(), stored.end(), version["name"]) == stored.end()) {
      stored.push_back(version["name"]);
    }
  }
  if (!status.contains("conditions") || status["conditions"].empty()) {
    status["conditions"] = Json::array(
        {condition("NamesAccepted", "NoConflicts", "no conflicts found"),
         condition("Established", "InitialNamesAccepted", "the initial names have been accepted")});
  }
  const auto finalizers = meta_list(crd, "finalizers");
  const char* cleanup = "customresourcecleanup.apiextensions.k8s.io";
  if (old == nullptr && std::find(finalizers.begin(), finalizers.end(), cleanup) == finalizers.end()) {
    crd["metadata"]["finalizers"].push_back(cleanup);
  }
}

std::vector<Cause> check_definition(const Json& crd, const Json& builtin_schemas) {
  std::vector<Cause> causes;
  const Json& spec = crd.at("spec");
  const Json& names = spec.at("names");
  const std::string expected = names.value("plural", "") + "." + spec.value("group", "");
  if (meta(crd, "name") != expected) {
    causes.push_back(invalid_field("metadata.name", in_quotes(meta(crd, "name")),
                                   "must be spec.names.plural+\".\"+spec.group"));
  }
  if (spec.value("conversion", Json::object()).value("strategy", "None") != "None") {
    causes.push_back(forbidden_field("spec.conversion.strategy",
                                     "this server converts between versions with strategy None alone"));
  }
  std::size_t stored = 0;
  std::size_t i = 0;
  for (const Json& version : spec.at("versions")) {
    const std::string path = "spec.versions[" + std::to_string(i++) + "]";
    if (!is_dns_label(version.value("name", "")))
      causes.push_back(
          invalid_field(path + ".name", in_quotes(version.value("name", "")), "a lowercase RFC 1123 label"));
    stored += version.value("storage", false) ? 1 : 0;
    check_version(version, path, causes);
  }
  if (stored != 1)
    causes.push_back(invalid_field("spec.versions", "\"array\"",
                                   "must have exactly one version marked as storage version"));
  if (!causes.empty()) return causes;
  try {
    (void)resources_of(crd, std::make_shared<const Json>(builtin_schemas));
  } catch (const std::exception& error) {
    causes.push_back(invalid_field("spec.versions", "\"array\"", error.what()));
  }
  return causes;
}

Json published_schema(const Json& version, const std::string& group, const std::string& version_name,
                      const std::string& kind) {
  const Json* source = version_schema(version);
  Json schema = source == nullptr ? Json({{"type", "object"}}) : *source;
  Json& properties = schema["properties"];
  if (!properties.is_object()) properties = Json::object();
  properties["apiVersion"] = {{"type", "string"},
                              {"description", "The version of this object's schema, group/version."}};
  properties["kind"] = {{"type", "string"}, {"description", "The kind of this object."}};
  properties["metadata"] = {{"allOf", Json::array({{{"$ref", kObjectMeta}}})},
                            {"description", "Standard object's metadata."}};
  schema["x-kubernetes-group-version-kind"] =
      Json::array({{{"group", group}, {"version", version_name}, {"kind", kind}}});
  return schema;
}

std::vector<std::shared_ptr<const Resource>> resources_of(
    const Json& crd, const std::shared_ptr<const Json>& builtin_schemas) {
  std::vector<std::shared_ptr<const Resource>> resources;
  const Json& spec = crd.at("spec");
  const Json& names = spec.at("names");
  std::string storage_version;
  for (const Json& version : spec.at("versions")) {
    if (version.value("storage", false)) storage_version = version.at("name");
  }
  for (const Json& version : spec.at("versions")) {
    if (!version.value("served", false)) continue;
    auto resource = std::make_shared<Resource>();
    resource->custom = true;
    resource->group = spec.at("group");
    resource->version = version.at("name");
    resource->kind = names.at("kind");
    resource->plural = names.at("plural");
    resource->singular = names.value("singular", lower(resource->kind));
    resource->list_kind = names.value("listKind", resource->kind + "List");
    resource->short_names = names.value("shortNames", std::vector<std::string>());
    resource->categories = names.value("categories", std::vector<std::string>());
    resource->verbs = kVerbs;
    resource->namespaced = spec.value("scope", "") == "Namespaced";
    if (version.contains("subresources") && version["subresources"].is_object()) {
      for (const char* name : {"status", "scale"}) {
        if (version["subresources"].contains(name)) resource->subresources.insert(name);
      }
      if (version["subresources"].contains("scale")) resource->scale = version["subresources"]["scale"];
    }
    resource->columns = columns_of(version);
    resource->storage = resource->plural + "." + resource->group;
    resource->storage_version = resource->group + "/" + storage_version;
    std::string reversed;  // dev.stepdown.v1alpha1.QuantizedModel
    for (std::string rest = resource->group; !rest.empty();) {
      const std::size_t dot = rest.rfind('.');
      reversed += rest.substr(dot == std::string::npos ? 0 : dot + 1) + ".";
      rest = dot == std::string::npos ? "" : rest.substr(0, dot);
    }
    resource->schema_name = reversed + resource->version + "." + resource->kind;
    resource->openapi = published_schema(version, resource->group, resource->version, resource->kind);
    auto schemas = std::make_shared<SchemaSet>(*builtin_schemas);
    resource->schema = schemas->compile(resource->openapi);
    if (const Json limits = metadata_limits(version); !limits.empty()) {
      resource->metadata_limits = schemas->compile({{"type", "object"}, {"properties", limits}});
    }
    resource->schemas = std::move(schemas);
    resources.push_back(std::move(resource));
  }
  return resources;
}

}  // namespace stepdown::local::api
