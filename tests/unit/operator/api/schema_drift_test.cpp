// The C++ types and the CRDs' schemas cannot drift apart: each schema becomes a sample with every property
// set, which must survive parse and print unchanged; each field of a type must stand in the schema; and
// defaults agree.
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "operator/api/describe_records.h"
#include "operator/api/describe_spec.h"
#include "operator/api/describe_status.h"
#include "operator/api/yaml.h"

namespace stepdown::api {
namespace {

using nlohmann::json;

json schema_of(const std::string& plural) {
  const std::string path = std::string(STEPDOWN_SOURCE_DIR) + "/crds/" + plural + ".yaml";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return documents_from_yaml(text.str(), path)
      .at(0)
      .at("/spec/versions/0/schema/openAPIV3Schema"_json_pointer);
}

json sample(const json& schema, int& counter) {
  ++counter;
  if (schema.contains("x-kubernetes-int-or-string")) return std::to_string(counter);
  const std::string type = schema.at("type");
  if (type == "object") {
    json out = json::object();
    if (schema.contains("properties")) {
      for (const auto& [name, property] : schema["properties"].items()) out[name] = sample(property, counter);
    } else if (schema.contains("additionalProperties")) {
      out["key"] = sample(schema["additionalProperties"], counter);
    }
    if (schema.contains("x-kubernetes-preserve-unknown-fields")) out["extra"] = counter;
    return out;
  }
  if (type == "array")
    return json::array({sample(schema.at("items"), counter), sample(schema["items"], counter)});
  if (type == "integer") return counter;
  if (type == "number") return counter + 0.5;
  if (type == "boolean") return true;
  EXPECT_EQ(type, "string");
  return schema.contains("enum") ? schema["enum"].back() : json("text" + std::to_string(counter));
}

void schema_paths(const json& schema, const std::string& path, std::set<std::string>& out) {
  if (schema.contains("items")) return schema_paths(schema["items"], path + "[]", out);
  if (schema.contains("additionalProperties"))
    return schema_paths(schema["additionalProperties"], path + "{}", out);
  if (!schema.contains("properties") || schema.contains("x-kubernetes-preserve-unknown-fields")) {
    out.insert(path);
    return;
  }
  for (const auto& [name, property] : schema["properties"].items())
    schema_paths(property, path + "." + name, out);
}

template <class T>
void type_paths(std::optional<T>*, const std::string& path, std::set<std::string>& out);
template <class T>
void type_paths(std::vector<T>*, const std::string& path, std::set<std::string>& out);
template <class T>
void type_paths(std::map<std::string, T>*, const std::string& path, std::set<std::string>& out);

template <class T>
void type_paths(T*, const std::string& path, std::set<std::string>& out) {
  if constexpr (Described<T>) {
    std::apply(
        [&](const auto&... field) {
          (type_paths(&(static_cast<T*>(nullptr)->*field.member), path + "." + field.name, out), ...);
        },
        describe(static_cast<T*>(nullptr)));
  } else {
    out.insert(path);
  }
}
template <class T>
void type_paths(std::optional<T>*, const std::string& path, std::set<std::string>& out) {
  type_paths(static_cast<T*>(nullptr), path, out);
}
template <class T>
void type_paths(std::vector<T>*, const std::string& path, std::set<std::string>& out) {
  type_paths(static_cast<T*>(nullptr), path + "[]", out);
}
template <class T>
void type_paths(std::map<std::string, T>*, const std::string& path, std::set<std::string>& out) {
  type_paths(static_cast<T*>(nullptr), path + "{}", out);
}

json with_defaults(json value, const json& schema) {
  if (!schema.contains("properties") || !value.is_object()) {
    if (value.is_array()) {
      for (json& each : value) each = with_defaults(each, schema.at("items"));
    }
    return value;
  }
  for (const auto& [name, property] : schema["properties"].items()) {
    if (!value.contains(name) && property.contains("default")) value[name] = property["default"];
    if (value.contains(name)) value[name] = with_defaults(value[name], property);
  }
  return value;
}

json without_empty(const json& value) {
  if (!value.is_object()) return value;
  json out = json::object();
  for (const auto& [key, each] : value.items()) {
    if (json kept = without_empty(each); !kept.is_object() || !kept.empty()) out[key] = std::move(kept);
  }
  return out;
}

template <class T>
void expect_no_drift(const json& schema) {
  int counter = 0;
  const json full = sample(schema, counter);
  T parsed;
  ASSERT_NO_THROW(Codec<T>::read(full, parsed, {"$", UnknownFields::kRefuse})) << full.dump(1);
  EXPECT_EQ(json::diff(full, Codec<T>::print(parsed)).dump(1), "[]");

  std::set<std::string> in_schema, in_type;
  schema_paths(schema, "$", in_schema);
  type_paths(static_cast<T*>(nullptr), "$", in_type);
  EXPECT_EQ(in_schema, in_type);
}

TEST(SchemaDrift, QuantizedModelSpec) {
  expect_no_drift<QuantizedModelSpec>(schema_of("quantizedmodels")["properties"]["spec"]);
}
TEST(SchemaDrift, QuantizedModelStatus) {
  expect_no_drift<QuantizedModelStatus>(schema_of("quantizedmodels")["properties"]["status"]);
}
TEST(SchemaDrift, QuantRevision) {
  expect_no_drift<QuantRevisionSpec>(schema_of("quantrevisions")["properties"]["spec"]);
}
TEST(SchemaDrift, EngineProfile) {
  expect_no_drift<EngineProfileSpec>(schema_of("engineprofiles")["properties"]["spec"]);
}

/// Items of lists have no defaults in the schema: a list that another manager applies is compared as a whole,
/// and one with defaults filled in would never be what its source says.
json with_item_defaults(json spec) {
  const auto fill = [&](const char* list, const json& defaults) {
    const json::json_pointer at(list);
    if (!spec.contains(at)) return;
    for (json& item : spec[at]) {
      json filled = defaults;
      filled.update(item);
      item = std::move(filled);
    }
  };
  fill("/rollout/steps", {{"hold", "0s"}, {"approval", false}});
  fill("/model/adapters", {{"weight", 1.0}});
  return spec;
}

TEST(SchemaDrift, NoItemOfAListHasDefaults) {
  const std::function<void(const json&, const std::string&, bool)> walk =
      [&](const json& schema, const std::string& path, bool in_list) {
        EXPECT_FALSE(in_list && schema.contains("default")) << path;
        if (schema.contains("properties")) {
          for (const auto& [name, each] : schema["properties"].items())
            walk(each, path + "." + name, in_list);
        }
        if (schema.contains("items")) walk(schema["items"], path + "[]", true);
      };
  for (const char* plural : {"quantizedmodels", "quantrevisions", "engineprofiles"}) {
    walk(schema_of(plural)["properties"]["spec"], plural, false);
  }
}

TEST(SchemaDrift, DefaultsOfTypesAreTheSchemas) {
  const json schema = schema_of("quantizedmodels")["properties"]["spec"];
  for (const char* text : {R"({"model": {"source": "file:///m"}})",
                           R"({"model": {"source": "file:///m", "adapters": [{"source": "file:///a"}]},
                               "quantization": {"calibration": {"source": "file:///c"}},
                               "serving": {"hardware": {}}, "rollout": {"steps": [{"weight": 10}]}})"}) {
    const json minimal = json::parse(text);
    QuantizedModelSpec spec;
    Codec<QuantizedModelSpec>::read(minimal, spec, {"spec", UnknownFields::kRefuse});
    EXPECT_EQ(print(spec), with_item_defaults(without_empty(with_defaults(minimal, schema))));
  }
}

TEST(SchemaDrift, EveryFieldIsDescribed) {
  const std::function<void(const json&, const std::string&)> walk = [&](const json& schema,
                                                                        const std::string& path) {
    const bool meta = path.ends_with(".metadata") || path.ends_with("[]") || path.ends_with("{}") ||
                      path.find(".metadata.") != std::string::npos;
    EXPECT_TRUE(meta || schema.contains("description")) << path;
    if (schema.contains("properties")) {
      for (const auto& [name, property] : schema["properties"].items()) walk(property, path + "." + name);
    }
    if (schema.contains("items")) walk(schema["items"], path + "[]");
    if (schema.contains("additionalProperties")) walk(schema["additionalProperties"], path + "{}");
  };
  for (const char* plural : {"quantizedmodels", "quantrevisions", "engineprofiles"})
    walk(schema_of(plural), plural);
}

}  // namespace
}  // namespace stepdown::api
