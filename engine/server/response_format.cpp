#include "engine/server/response_format.h"

#include <array>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/server/api_error.h"
#include "engine/server/bounded_json.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

AnswerLanguage json(const ordered_json& value, const std::string& param) {
  try {
    if (!value.is_string()) return {.schema = schema::Schema::compile(value)};
    const auto parsed = parse_bounded(value.get_ref<const std::string&>());
    if (parsed.is_discarded()) refuse(param, "must be a JSON Schema");
    return {.schema = schema::Schema::compile(parsed)};
  } catch (const InputError& error) {
    throw ApiError(400, "unsupported_schema", error.what(), param);
  }
}

const std::string& text_of(const ordered_json& value, const std::string& param) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    refuse(param, "must be a string, not empty");
  return value.get_ref<const std::string&>();
}

AnswerLanguage regex(const ordered_json& value, const std::string& param) {
  try {
    return {.grammar = schema::TextGrammar::from_regex(text_of(value, param))};
  } catch (const InputError& error) {
    throw ApiError(400, "unsupported_regex", error.what(), param);
  }
}

AnswerLanguage grammar(const ordered_json& value, const std::string& param) {
  try {
    return {.grammar = schema::TextGrammar::from_gbnf(text_of(value, param))};
  } catch (const InputError& error) {
    throw ApiError(400, "unsupported_grammar", error.what(), param);
  }
}

AnswerLanguage choice(const ordered_json& value, const std::string& param) {
  constexpr std::size_t kMost = 1000;
  if (!value.is_array() || value.empty() || value.size() > kMost)
    refuse(param, "must be a list of 1 to " + std::to_string(kMost) + " strings");
  std::vector<std::string> choices;
  for (const ordered_json& one : value) choices.push_back(text_of(one, param));
  return {.grammar = schema::TextGrammar::from_choices(choices)};
}

AnswerLanguage response_format(const ordered_json& format, const std::string& param) {
  const ordered_json* type = format.is_object() ? member(format, "type") : nullptr;
  if (type == nullptr || !type->is_string()) refuse(param, "must be an object with a 'type'");
  if (*type == "text") return {};
  if (*type == "json_object") return {.schema = schema::Schema::any_object()};
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
                                Row{"grammar", grammar}};

}  // namespace

AnswerLanguage answer_language(const ordered_json& body) {
  AnswerLanguage language;
  for (const Row& row : kFields) {
    const ordered_json* value = member(body, row.name);
    if (value == nullptr) continue;
    AnswerLanguage asked = row.read(*value, row.name);
    const bool second = (asked.schema || asked.grammar) && (language.schema || language.grammar);
    if (second) refuse(row.name, "asks for another language than a field before it");
    if (asked.schema || asked.grammar) language = std::move(asked);
  }
  return language;
}

}  // namespace stepdown::server
