#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/error.h"
#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {

/// What an answer must be: a JSON document, a text of a grammar, or, with neither, any text.
struct AnswerLanguage {
  std::shared_ptr<const Schema> schema;
  std::shared_ptr<const TextGrammar> grammar;

  bool any_text() const { return !schema && !grammar; }
  /// Of the empty text; nullopt where any text will do.
  std::optional<PrefixMatcher> matcher() const;
};

/// A request asks for an answer that nobody can be held to.
class LanguageError : public InputError {
 public:
  LanguageError(std::string code, const std::string& what, std::string param)
      : InputError(what), code_(std::move(code)), param_(std::move(param)) {}

  const std::string& code() const {
    return code_;
  }  ///< as OpenAI's errors have: invalid_value, unsupported_schema…
  const std::string& param() const { return param_; }  ///< the body's field, dotted

 private:
  std::string code_;
  std::string param_;
};

/// What a request's body asks for: by OpenAI's `response_format`; by vLLM's `structured_outputs` {json,
/// regex, choice, grammar} or its older `guided_json`, `guided_regex`, `guided_choice`, `guided_grammar`; by
/// llama.cpp's `grammar`, unless `grammar_lazy`. Throws LanguageError that names what it cannot enforce, and
/// when two ask at once.
AnswerLanguage answer_language(const nlohmann::ordered_json& body);

/// The fields of a request's body that answer_language() reads, by name; none where they ask for any text.
nlohmann::ordered_json language_fields(const nlohmann::ordered_json& body);

}  // namespace stepdown::schema
