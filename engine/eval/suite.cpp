#include "engine/eval/suite.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/base/words.h"

namespace stepdown::eval {
namespace {

constexpr std::array kTypes = {
    SuiteType{"jsonSchema", "schema", make_json_schema_suite},
    SuiteType{"exactMatch", "fields", make_exact_match_suite},
    SuiteType{"citation", "field", make_citation_suite},
    SuiteType{"refusal", "phrases", make_refusal_suite},
    SuiteType{"arithmetic", "count", make_arithmetic_suite},
    SuiteType{"retrieval", "count words keys", make_retrieval_suite},
    SuiteType{"toolCall", "", make_tool_call_suite},
    SuiteType{"multipleChoice", "", make_multiple_choice_suite},
};

/// A misspelt option would measure something else than was asked for.
void refuse_unread(const nlohmann::json& suite, const SuiteType& type, const std::string& where) {
  for (const auto& [name, value] : suite.items()) {
    if (name == "type" || has_word(type.options, name)) continue;
    throw InputError(
        "suites of type " + std::string(type.type) + " do not read it", where + "." + name,
        type.options.empty() ? "leave it out" : "leave it out, or give one of " + std::string(type.options));
  }
}

std::string known_types() {
  std::string names;
  for (const SuiteType& row : kTypes) names += (names.empty() ? "" : ", ") + std::string(row.type);
  return names;
}

}  // namespace

std::span<const SuiteType> suite_types() {
  return kTypes;
}

std::vector<std::unique_ptr<Suite>> make_suites(const nlohmann::json& config) {
  if (!config.is_array())
    throw InputError("not an array", "suites", "give [{\"type\": …}]; known: " + known_types());
  std::vector<std::unique_ptr<Suite>> suites;
  for (std::size_t i = 0; i < config.size(); ++i) {
    const std::string where = "suites[" + std::to_string(i) + "]";
    if (!config[i].is_object())
      throw InputError("not an object", where, "give {\"type\": …}; known: " + known_types());
    const nlohmann::json given = config[i].value("type", nlohmann::json());
    const std::string type = given.is_string() ? given.get<std::string>() : given.dump();
    const auto* row = std::ranges::find(kTypes, type, &SuiteType::type);
    if (row == kTypes.end()) {
      throw InputError("unknown suite type \"" + type + "\"", where + ".type", "use one of " + known_types());
    }
    refuse_unread(config[i], *row, where);
    suites.push_back(row->make(config[i], where));
  }
  return suites;
}

std::int64_t prompt_count(const nlohmann::json& config, const std::string& where, std::int64_t fallback) {
  const auto count = config.find("count");
  if (count == config.end()) return fallback;
  if (!count->is_number_integer() || count->get<std::int64_t>() < 1 || count->get<std::int64_t>() > 1000) {
    throw InputError("not within 1 and 1000", where + ".count");
  }
  return count->get<std::int64_t>();
}

std::vector<std::string> warnings_about(const nlohmann::json& config) {
  const bool choice_alone =
      config.is_array() && !config.empty() && std::ranges::all_of(config, [](const auto& suite) {
        return suite.is_object() && suite.value("type", "") == "multipleChoice";
      });
  if (!choice_alone) return {};
  return {
      "multiple choice alone hides what quantization breaks: add generated answers (jsonSchema, exactMatch, "
      "arithmetic, retrieval)"};
}

}  // namespace stepdown::eval
