#include "operator/gateway/judge/expectation.h"

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kMostBytes =
    128UL << 10U;  // of languages' texts: compiled, they take thousands of times that
constexpr std::size_t kLongest = 16UL << 10U;
constexpr std::size_t kMostPatterns = 32;  // each an automaton of its own, some 10 ms

/// pattern and patternProperties are counted as text: a schema may be given as a string of JSON. What counts
/// too much is only not judged.
bool is_large(const std::string& text) {
  std::size_t patterns = 0;
  for (std::size_t at = text.find("attern"); at != std::string::npos; at = text.find("attern", at + 1))
    ++patterns;
  return text.size() > kLongest || patterns > kMostPatterns;
}

schema::AnswerLanguage compile(const json& fields) {
  try {
    return schema::answer_language(fields);
  } catch (const schema::LanguageError&) {
    return {};  // the engine answers such a request with a 400 that names the field
  }
}

/// What a request that continues its last message has of the answer already.
std::string written(const json& request) {
  if (member(request, "continue_final_message") != true) return {};
  const json& messages = member(request, "messages");
  if (!messages.is_array() || messages.empty()) return {};
  const json& content = member(messages.back(), "content");
  return content.is_string() ? content.get<std::string>() : std::string();
}

/// vLLM's: the text holds more than the constraint let the model write.
bool holds_more(const json& request) {
  return member(request, "include_stop_str_in_output") == true ||
         member(request, "skip_special_tokens") == false;
}

}  // namespace

schema::AnswerLanguage LanguageCache::of(const json& request) {
  const json fields = schema::language_fields(request);
  if (fields.empty()) return {};
  const std::string key = fields.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto found = compiled_.find(key);
  if (found != compiled_.end()) return found->second;
  if (is_large(key)) return {};
  if (bytes_ + key.size() > kMostBytes) {
    compiled_.clear();
    bytes_ = 0;
  }
  bytes_ += key.size();
  return compiled_.emplace(key, compile(fields)).first->second;
}

Expectation expect(const json& request, bool chat, LanguageCache& languages) {
  Expectation expectation;
  expectation.chat = chat;
  expectation.stream = member(request, "stream") == true;
  const json& temperature = member(request, "temperature");
  expectation.greedy = temperature.is_number() && temperature.get<double>() == 0;
  const json& choices = member(request, "n");
  if (choices.is_number_unsigned()) expectation.choices = choices.get<std::uint64_t>();
  if (!holds_more(request)) expectation.language = languages.of(request);
  if (chat) expectation.written = written(request);
  return expectation;
}

}  // namespace stepdown::gateway
