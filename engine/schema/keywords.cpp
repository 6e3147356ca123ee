#include "engine/schema/keywords.h"

#include <algorithm>
#include <array>

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
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"unevaluatedProperties", "object"},
    {"patternProperties", "object"},
    {"propertyNames", "object"},
    {"items", "array"},
    {"unevaluatedItems", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
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

std::optional<std::string> first_constraint(const ordered_json& schema) {
  for (const auto& [key, value] : schema.items()) {
    if (is_constraint(key)) return key;
  }
  return std::nullopt;
}

void refuse_siblings(const ordered_json& schema, std::string_view combinator, const std::string& path) {
  for (const auto& [key, value] : schema.items()) {
    if (key != combinator && is_constraint(key)) {
      throw InputError("'" + key + "' beside '" + std::string(combinator) + "' is not supported", path,
                       "move it into the alternatives");
    }
  }
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
  constexpr std::int64_t kMost = 1'000'000'000;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > kMost) {
    throw InputError("'" + std::string(keyword) + "' must be a count", path + "/" + keyword);
  }
  return value.get<std::int64_t>();
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

}  // namespace stepdown::schema
