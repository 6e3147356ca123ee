#include "engine/schema/answer_language.h"

#include <array>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& param, const std::string& what) {
  throw LanguageError("invalid_value", "'" + param + "' " + what, param);
}

/// What a compiler of this room makes of a request's field; its refusal names the field.
template <class Compile, class From>
auto compiled(Compile compile, const From& from, const char* code, const std::string& param) {
  try {
    return compile(from);
  } catch (const InputError& error) {
    throw LanguageError(code, error.what(), param);
  }
}

AnswerLanguage json(const ordered_json& value, const std::string& param) {
  ordered_json schema = value;
  if (value.is_string()) {
    schema = parse_bounded(value.get_ref<const std::string&>());
    if (schema.is_discarded()) refuse(param, "must be a JSON Schema");
  }
  const auto compile = [](const ordered_json& from) { return Schema::compile(from); };
  return {.schema = compiled(compile, schema, "unsupported_schema", param)};
}

const std::string& text_of(const ordered_json& value, const std::string& param) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    refuse(param, "must be a string, not empty");
  return value.get_ref<const std::string&>();
}

AnswerLanguage regex(const ordered_json& value, const std::string& param) {
  return {.grammar = compiled(TextGrammar::from_regex, text_of(value, param), "unsupported_regex", param)};
}

AnswerLanguage grammar(const ordered_json& value, const std::string& param) {
  return {.grammar = compiled(TextGrammar::from_gbnf, text_of(value, param), "unsupported_grammar", param)};
}

/// A grammar that binds from some words on only: before them any text is right.
AnswerLanguage lazy(const ordered_json& value, const std::string& param) {
  if (value != false) refuse(param, "is not supported: the grammar binds the whole answer");
  return {};
}

AnswerLanguage choice(const ordered_json& value, const std::string& param) {
  constexpr std::size_t kMost = 1000;
  if (!value.is_array() || value.empty() || value.size() > kMost)
    refuse(param, "must be a list of 1 to " + std::to_string(kMost) + " strings");
  std::vector<std::string> choices;
  for (const ordered_json& one : value) choices.push_back(text_of(one, param));
  return {.grammar = compiled(TextGrammar::from_choices, choices, "unsupported_choice", param)};
}

AnswerLanguage response_format(const ordered_json& format, const std::string& param) {
  const ordered_json* type = format.is_object() ? member(format, "type") : nullptr;
  if (type == nullptr || !type->is_string()) refuse(param, "must be an object with a 'type'");
  if (*type == "text") return {};
  if (*type == "json_object") return {.schema = Schema::any_object()};
  if (*type != "json_schema") refuse(param + ".type", "must be text, json_object or json_schema");
  const ordered_json* wrapper = member(format, "json_schema");
  const ordered_json* schema =
      wrapper != nullptr && wrapper->is_object() ? member(*wrapper, "schema") : nullptr;
  if (schema == nullptr) refuse(param + ".json_schema.schema", "is missing");
  return json(*schema, param + ".json_schema.schema");
}

struct Row {
  const char* name;
  AnswerLanguage (*read)(const ordered_json& value, const std::string& param);
};

constexpr std::array kStructured = {Row{"json", json}, Row{"regex", regex}, Row{"choice", choice},
                                    Row{"grammar", grammar}};

AnswerLanguage structured_outputs(const ordered_json& value, const std::string& param) {
  if (!value.is_object() || value.size() != 1)
    refuse(param, "must hold one of json, regex, choice and grammar");
  for (const Row& row : kStructured) {
    if (const ordered_json* inner = member(value, row.name)) return row.read(*inner, param + "." + row.name);
  }
  refuse(param, "must hold one of json, regex, choice and grammar");
}

constexpr std::array kFields = {Row{"response_format", response_format},
                                Row{"structured_outputs", structured_outputs},
                                Row{"guided_json", json},
                                Row{"guided_regex", regex},
                                Row{"guided_choice", choice},
                                Row{"guided_grammar", grammar},
                                Row{"grammar", grammar},
                                Row{"grammar_lazy", lazy}};

}  // namespace

std::optional<PrefixMatcher> AnswerLanguage::matcher() const {
  if (schema) return PrefixMatcher(schema);
  if (grammar) return PrefixMatcher(grammar);
  return std::nullopt;
}

AnswerLanguage answer_language(const ordered_json& body) {
  AnswerLanguage language;
  for (const Row& row : kFields) {
    const ordered_json* value = member(body, row.name);
    if (value == nullptr) continue;
    AnswerLanguage asked = row.read(*value, row.name);
    if (asked.any_text()) continue;
    if (!language.any_text()) refuse(row.name, "asks for another language than a field before it");
    language = std::move(asked);
  }
  return language;
}

ordered_json language_fields(const ordered_json& body) {
  static const ordered_json kAnyText = {{"type", "text"}};
  ordered_json fields = ordered_json::object();
  if (!body.is_object()) return fields;
  for (const Row& row : kFields) {
    const ordered_json* value = member(body, row.name);
    if (value != nullptr && *value != kAnyText) fields[row.name] = *value;
  }
  return fields;
}

}  // namespace stepdown::schema
