#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/answer_language.h"

namespace stepdown::gateway {

/// What a request lets one expect of its answer.
struct Expectation {
  bool chat = false;  ///< /v1/chat/completions rather than /v1/completions
  bool stream = false;
  bool greedy = false;  ///< temperature 0: the same request has one answer
  std::uint64_t choices = 1;
  schema::AnswerLanguage language;
  std::string written;  ///< the beginning that the request brings along and the answer goes on from
};

/// The compiled languages of the last requests: batch clients send the same one thousands of times. Compiling
/// holds up every request, so that what is large is not judged by its form.
class LanguageCache {
 public:
  /// What the request's answer must be: any text for what the engine will refuse with a 400 itself, or what
  /// would take long to compile.
  schema::AnswerLanguage of(const nlohmann::ordered_json& request);

 private:
  std::map<std::string, schema::AnswerLanguage> compiled_;
  std::size_t bytes_ = 0;  ///< of the keys
};

Expectation expect(const nlohmann::ordered_json& request, bool chat, LanguageCache& languages);

}  // namespace stepdown::gateway
