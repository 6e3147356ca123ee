#include "engine/schema/negation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/error.h"
#include "engine/schema/keywords.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// A bound that is passed where the keyword's own holds no longer; `step`: counts have a next one.
struct Opposite {
  const char* keyword;
  const char* type;
  const char* bound;
  int step;
};

constexpr std::array kOpposites = {Opposite{"minimum", "number", "exclusiveMaximum", 0},
                                   Opposite{"exclusiveMinimum", "number", "maximum", 0},
                                   Opposite{"maximum", "number", "exclusiveMinimum", 0},
                                   Opposite{"exclusiveMaximum", "number", "minimum", 0},
                                   Opposite{"minLength", "string", "maxLength", -1},
                                   Opposite{"maxLength", "string", "minLength", 1},
                                   Opposite{"minItems", "array", "maxItems", -1},
                                   Opposite{"maxItems", "array", "minItems", 1},
                                   Opposite{"minProperties", "object", "maxProperties", -1},
                                   Opposite{"maxProperties", "object", "minProperties", 1}};

ordered_json any_of(ordered_json alternatives) {
  if (alternatives.empty()) return false;
  if (alternatives.size() == 1) return alternatives[0];
  return {{"anyOf", std::move(alternatives)}};
}

ordered_json other_types(const ordered_json& schema, const std::string& path) {
  const std::vector<std::string> types = types_of(schema, path);
  const auto has = [&types](const char* type) { return std::ranges::find(types, type) != types.end(); };
  if (has("integer") && !has("number"))
    throw InputError("numbers that are no integers are not supported", path, "leave out 'integer'");
  ordered_json others = ordered_json::array();
  for (const char* type : kPlainTypes) {
    if (!has(type)) others.push_back(type);
  }
  return others.empty() ? ordered_json(false) : ordered_json{{"type", std::move(others)}};
}

ordered_json negated_keyword(const ordered_json& schema, const std::string& keyword,
                             const std::string& path) {
  const ordered_json& value = schema[keyword];
  ordered_json alternatives = ordered_json::array();
  if (keyword == "type") return other_types(schema, path);
  if (keyword == "not") return value;
  if (keyword == "const") return {{"not", {{"enum", ordered_json::array({value})}}}};
  if (keyword == "enum") return {{"not", {{"enum", value}}}};
  if (keyword == "anyOf" || keyword == "allOf") {
    if (!value.is_array()) throw InputError("'" + keyword + "' must be a list of schemas", path);
    for (const ordered_json& each : value) alternatives.push_back({{"not", each}});
    if (keyword == "allOf") return any_of(std::move(alternatives));
    return {{"allOf", std::move(alternatives)}};
  }
  if (keyword == "required") {
    for (const std::string& name : names_of(schema, path))
      alternatives.push_back({{"type", "object"}, {"properties", {{name, false}}}});
    return any_of(std::move(alternatives));
  }
  if (keyword == "properties" && value.is_object()) {
    for (const auto& [name, inner] : value.items()) {
      alternatives.push_back({{"type", "object"},
                              {"properties", {{name, {{"not", inner}}}}},
                              {"required", ordered_json::array({name})}});
    }
    return any_of(std::move(alternatives));
  }
  const auto* opposite = std::ranges::find(kOpposites, keyword, &Opposite::keyword);
  if (opposite == kOpposites.end() || !value.is_number())
    throw InputError("'" + keyword + "' in 'not' is not supported", path, "say what is valid instead");
  if (opposite->step == 0) return {{"type", opposite->type}, {opposite->bound, value}};
  const std::int64_t bound = count_of(schema, opposite->keyword, 0, path) + opposite->step;
  return bound < 0 ? ordered_json(false) : ordered_json{{"type", opposite->type}, {opposite->bound, bound}};
}

}  // namespace

ordered_json negated(const ordered_json& schema, const std::string& path) {
  if (schema.is_boolean()) return schema == false;
  if (!schema.is_object()) throw InputError("a schema must be an object", path);
  check_keywords(schema, path);
  ordered_json alternatives = ordered_json::array();
  for (const auto& [keyword, value] : schema.items()) {
    if (is_constraint(keyword)) alternatives.push_back(negated_keyword(schema, keyword, path));
  }
  return any_of(std::move(alternatives));
}

}  // namespace stepdown::schema
