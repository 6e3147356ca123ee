#include "engine/server/call_schema.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

/// Lets the references of a schema find what they name once it stands at `place` of another. Tools may use
/// the same names for different things. `names`: the object's keys are names and no keywords.
void move_references(ordered_json& schema, const std::string& place, bool names = false) {
  if (schema.is_array()) {
    for (ordered_json& each : schema) move_references(each, place);
  }
  if (!schema.is_object()) return;
  for (const auto& [key, value] : schema.items()) {
    const auto is_one_of = [&key](std::initializer_list<std::string_view> all) {
      return std::ranges::find(all, key) != all.end();
    };
    if (!names && is_one_of({"const", "enum", "default", "examples"})) continue;  // values
    if (!names && key == "$ref" && value.is_string()) {
      const auto target = value.get<std::string>();
      if (target.starts_with('#')) value = place + target.substr(1);
      continue;
    }
    move_references(value, place, !names && is_one_of({"properties", "$defs", "definitions"}));
  }
}

}  // namespace

ordered_json arguments_schema(const Tool& tool, const std::string& place) {
  ordered_json parameters = tool.parameters;
  parameters.erase("$schema");
  move_references(parameters, place);
  // Models call with what is declared; left open, an answer could go on with inventions until its length
  // ends.
  static constexpr std::array kDeclareMore = {"additionalProperties",
                                              "unevaluatedProperties",
                                              "patternProperties",
                                              "allOf",
                                              "anyOf",
                                              "oneOf",
                                              "if",
                                              "$ref",
                                              "dependentSchemas"};
  const bool declared_here =
      std::ranges::none_of(kDeclareMore, [&](const char* keyword) { return parameters.contains(keyword); });
  if (parameters.contains("properties") && declared_here) parameters["additionalProperties"] = false;
  return parameters;
}

ordered_json call_schema(const ToolFormat& format, const ToolUse& use, CallShape shape) {
  const bool list = shape == CallShape::kList;
  const std::string key(format.arguments_key);
  ordered_json alternatives = ordered_json::array();
  for (const Tool& tool : use.tools) {
    const std::string which = use.tools.size() > 1 ? "/anyOf/" + std::to_string(alternatives.size()) : "";
    ordered_json arguments = arguments_schema(tool, (list ? "#/items" : "#") + which + "/properties/" + key);
    alternatives.push_back({{"type", "object"},
                            {"properties", {{"name", {{"const", tool.name}}}, {key, std::move(arguments)}}},
                            {"required", {"name", key}},
                            {"additionalProperties", false}});
  }
  ordered_json call = alternatives.size() == 1 ? alternatives[0] : ordered_json{{"anyOf", alternatives}};
  if (!list) return call;
  ordered_json schema = {{"type", "array"}, {"items", std::move(call)}, {"minItems", 1}};
  if (!use.parallel || use.named) schema["maxItems"] = 1;
  return schema;
}

ordered_json forced_call_schema(const ToolFormat& format, const ToolUse& use) {
  return call_schema(format, use, format.forced_list ? CallShape::kList : CallShape::kCall);
}

}  // namespace stepdown::server
