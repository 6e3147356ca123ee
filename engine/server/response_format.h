#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::server {

/// What an answer must be: a JSON document, a text of a grammar, or, with neither, any text.
struct AnswerLanguage {
  std::shared_ptr<const schema::Schema> schema;
  std::shared_ptr<const schema::TextGrammar> grammar;
};

/// What a request's body asks for: by OpenAI's `response_format`; by vLLM's `structured_outputs` {json,
/// regex, choice, grammar} or its older `guided_json`, `guided_regex`, `guided_choice`, `guided_grammar`; by
/// llama.cpp's `grammar`. Throws ApiError that names what it cannot enforce, and when two ask at once.
AnswerLanguage answer_language(const nlohmann::ordered_json& body);

}  // namespace stepdown::server
