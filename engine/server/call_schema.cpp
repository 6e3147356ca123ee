#include "engine/server/call_schema.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "engine/base/error.h"
#include "engine/schema/anchors.h"
#include "engine/schema/json_pointer.h"
#include "engine/schema/schema.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

/// Lets the references of a schema find what they name once it stands at `place` of another. Tools may use
/// the same names for different things, in `anchors` too. `names`: the object's keys are names and no
/// keywords.
void move_references(ordered_json& schema, const std::string& place,
                     const std::map<std::string, std::string>& anchors, bool names = false) {
  if (schema.is_array()) {
    for (ordered_json& each : schema) move_references(each, place, anchors);
  }
  if (!schema.is_object()) return;
  for (const auto& [key, value] : schema.items()) {
    if (!names && schema::holds_values(key)) continue;
    if (!names && key == "$ref" && value.is_string()) {
      const auto target = value.get<std::string>();
      if (!target.starts_with('#')) continue;
      const auto anchor = anchors.find(target.substr(1));
      value = place + (anchor == anchors.end() ? target.substr(1) : schema::escape_percent(anchor->second));
      continue;
    }
    move_references(value, place, anchors, !names && schema::holds_named_schemas(key));
  }
}

}  // namespace

ToolUse held(ToolUse use, Loosely loosely) {
  for (Tool& tool : use.tools) {
    if (!tool.strict && loosely == Loosely::kAnyObject) {
      tool.parameters = {{"type", "object"}};
      continue;
    }
    try {
      schema::Schema::compile(arguments_schema(tool, "#"));
    } catch (const InputError& error) {
      if (tool.strict) throw InputError("the strict tool '" + tool.name + "': " + error.what());
      tool.parameters = {{"type", "object"}};
    }
  }
  return use;
}

ordered_json arguments_schema(const Tool& tool, const std::string& place) {
  if (!may_be_object(tool.parameters)) return {{"type", "object"}};
  ordered_json parameters = tool.parameters;
  parameters["type"] = "object";  // as all arguments are
  for (const char* keyword : {"$schema", "$id"}) parameters.erase(keyword);
  move_references(parameters, place, schema::anchors_of(parameters));
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

std::shared_ptr<const schema::Schema> forced_call(const ToolFormat& format, const ToolUse& use) {
  try {
    return schema::Schema::compile(forced_call_schema(format, use));
  } catch (const InputError&) {
    return schema::Schema::compile(forced_call_schema(format, held(use, Loosely::kWhatCanBeHeld)));
  }
}

}  // namespace stepdown::server
