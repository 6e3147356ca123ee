#include "engine/schema/keywords.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/schema/formats.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// `of` names the types a keyword is about; "" is every schema's, "*" an annotation without effect.
struct Keyword {
  std::string_view name;
  std::string_view of;
};

constexpr auto kKeywords = std::to_array<Keyword>({
    {"type", ""},
    {"enum", ""},
    {"const", ""},
    {"$ref", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"allOf", ""},
    {"not", ""},
    {"if", ""},
    {"then", ""},
    {"else", ""},
    {"dependentRequired", ""},
    {"dependentSchemas", ""},
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"unevaluatedProperties", "object"},
    {"patternProperties", "object"},
    {"propertyNames", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"unevaluatedItems", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"contains", "array"},
    {"minContains", "array"},
    {"maxContains", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
    {"$schema", "*"},
    {"$id", "*"},
    {"$anchor", "*"},
    {"$comment", "*"},
    {"$defs", "*"},
    {"definitions", "*"},
    {"title", "*"},
    {"description", "*"},
    {"default", "*"},
    {"examples", "*"},
    {"deprecated", "*"},
    {"readOnly", "*"},
    {"writeOnly", "*"},
    {"contentMediaType", "*"},
    {"contentEncoding", "*"},
    {"contentSchema", "*"},
});

constexpr std::array<std::string_view, 7> kTypes = {"object", "array",   "string", "integer",
                                                    "number", "boolean", "null"};

const Keyword* find_keyword(std::string_view name) {
  const auto* found = std::ranges::find(kKeywords, name, &Keyword::name);
  return found == kKeywords.end() ? nullptr : found;
}

}  // namespace

void check_keywords(const ordered_json& schema, const std::string& path) {
  for (const auto& [key, value] : schema.items()) {
    if (find_keyword(key) == nullptr)
      throw InputError("keyword '" + key + "' is not supported", path, "remove it or express it otherwise");
  }
}

bool is_constraint(std::string_view keyword) {
  const Keyword* found = find_keyword(keyword);
  return found != nullptr && found->of != "*";
}

bool is_combinator(std::string_view keyword) {
  constexpr auto kCombinators =
      std::to_array<std::string_view>({"$ref", "anyOf", "oneOf", "allOf", "not", "if", "then", "else",
                                       "dependentRequired", "dependentSchemas"});
  return std::ranges::find(kCombinators, keyword) != kCombinators.end();
}

std::optional<std::string> only_constraint(const ordered_json& schema) {
  std::optional<std::string> only;
  for (const auto& [key, value] : schema.items()) {
    if (!is_constraint(key)) continue;
    if (only) return std::nullopt;
    only = key;
  }
  return only;
}

bool narrows(const ordered_json& schema, std::string_view type) {
  return std::ranges::any_of(schema.items(), [type](const auto& entry) {
    const Keyword* found = find_keyword(entry.key());
    return found != nullptr && (found->of == type || (found->of == "number" && type == "integer"));
  });
}

std::pair<std::string, ordered_json> rest_of(const ordered_json& schema, const char* plain,
                                             const char* unevaluated) {
  const char* keyword = schema.contains(plain) || !schema.contains(unevaluated) ? plain : unevaluated;
  return {keyword, schema.value(keyword, ordered_json(true))};
}

void refuse_keywords_of_other_types(const ordered_json& schema, const std::vector<std::string>& types,
                                    const std::string& path) {
  for (const auto& [key, value] : schema.items()) {
    const std::string_view of = find_keyword(key)->of;
    if (of.empty() || of == "*") continue;
    const bool applies = std::ranges::any_of(
        types, [of](const std::string& type) { return type == of || (of == "number" && type == "integer"); });
    if (!applies) throw InputError("'" + key + "' has no effect on type " + types[0], path, "remove it");
  }
}

std::vector<std::string> types_of(const ordered_json& schema, const std::string& path) {
  if (!schema.contains("type")) return {};
  const ordered_json& type = schema["type"];
  std::vector<std::string> types;
  for (const ordered_json& one : type.is_array() ? type : ordered_json::array({type})) {
    const auto name = one.is_string() ? one.get<std::string>() : std::string();
    if (std::ranges::find(kTypes, name) == kTypes.end())
      throw InputError("unknown type " + one.dump(-1, ' ', false, ordered_json::error_handler_t::replace),
                       path + "/type");
    if (std::ranges::find(types, name) == types.end()) types.push_back(name);
  }
  if (types.empty()) throw InputError("'type' is an empty list", path + "/type");
  return types;
}

std::set<std::string> names_of(const ordered_json& schema, const std::string& path) {
  std::set<std::string> names;
  const ordered_json required = schema.value("required", ordered_json::array());
  if (!required.is_array()) throw InputError("'required' must be a list of names", path + "/required");
  for (const ordered_json& name : required) {
    if (!name.is_string()) throw InputError("'required' must be a list of names", path + "/required");
    names.insert(name.get<std::string>());
  }
  return names;
}

std::int64_t count_of(const ordered_json& schema, const char* keyword, std::int64_t otherwise,
                      const std::string& path) {
  if (!schema.contains(keyword)) return otherwise;
  const ordered_json& value = schema[keyword];
  constexpr double kMost = 1e9;
  const double count = value.is_number() ? value.get<double>() : -1;  // 2.0 is one too
  if (!(count >= 0 && count <= kMost && count == std::trunc(count)))
    throw InputError("'" + std::string(keyword) + "' must be a count", path + "/" + keyword);
  return static_cast<std::int64_t>(count);
}

StringRules pattern_of(const ordered_json& schema, const std::string& path) {
  if (schema.contains("format")) {
    const ordered_json& name = schema["format"];
    const Format* format = name.is_string() ? find_format(name.get_ref<const std::string&>()) : nullptr;
    if (format == nullptr) {
      throw InputError(
          "this format is not supported", path + "/format",
          "use date, time, date-time, duration, uuid, hostname, email, ipv4 or ipv6, or a pattern");
    }
    if (schema.contains("pattern"))
      throw InputError("'format' beside 'pattern' is not supported", path, "keep one");
    return {std::string(format->meant),
            std::string(format->written.empty() ? format->meant : format->written)};
  }
  if (!schema.contains("pattern")) return {};
  if (!schema["pattern"].is_string()) throw InputError("'pattern' must be a string", path + "/pattern");
  return {schema["pattern"].get<std::string>(), schema["pattern"].get<std::string>()};
}

StringRules name_rules(const ordered_json& schema, const std::string& path) {
  ordered_json rest = schema;
  if (rest.value("type", ordered_json("string")) != "string") return {};
  for (const char* keyword : {"type", "minLength", "maxLength"}) rest.erase(keyword);
  const bool sized = schema.contains("minLength") || schema.contains("maxLength");
  const auto only = only_constraint(rest);
  if (!sized) return only == "pattern" || only == "format" ? pattern_of(schema, path) : StringRules();
  constexpr std::int64_t kMost = 250;
  const std::int64_t least = count_of(schema, "minLength", 0, path);
  const std::int64_t most = count_of(schema, "maxLength", kMost, path);
  const bool constrained =
      std::ranges::any_of(rest.items(), [](const auto& e) { return is_constraint(e.key()); });
  if (constrained || least > most || most > kMost) return {};
  const std::string end = schema.contains("maxLength") ? std::to_string(most) : std::string();
  const std::string regex = "^[^]{" + std::to_string(least) + "," + end + "}$";
  return {regex, regex};
}

}  // namespace stepdown::schema
