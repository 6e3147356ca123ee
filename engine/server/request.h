#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/runtime/engine.h"
#include "engine/schema/answer_language.h"
#include "engine/server/tools.h"

namespace stepdown::server {

/// Text, or token ids as they are.
using Prompt = std::variant<std::string, std::vector<runtime::TokenId>>;
/// The prompts of a field that holds one or a list of them. Throws ApiError that names it.
std::vector<Prompt> read_prompts(const nlohmann::ordered_json* value, const std::string& field);
/// Parses a body. Throws ApiError (400) when it is no JSON object or nested too deeply.
nlohmann::ordered_json parse_body(std::string_view body);

/// How a request stands among the others.
struct Standing {
  std::int32_t priority = 0;                          ///< the lower the sooner
  std::string user;                                   ///< for whom a client asks, or empty
  std::optional<std::chrono::milliseconds> deadline;  ///< from its arrival
};
/// Of a body of any API. Throws ApiError (400) that names the parameter.
Standing read_standing(const nlohmann::ordered_json& body);

/// The body of POST /v1/chat/completions or /v1/completions, checked.
struct Request {
  bool chat = false;
  std::string model;

  nlohmann::ordered_json messages;         ///< chat: contents are strings
  nlohmann::ordered_json template_extras;  ///< chat_template_kwargs: further variables of the template
  bool continue_final_message = false;

  std::vector<Prompt> prompts;  ///< completions

  std::optional<std::int64_t> max_tokens;
  std::int64_t n = 1;
  runtime::Sampling sampling;
  std::vector<std::string> stop;
  bool logprobs = false;
  std::int32_t top_logprobs = 0;
  bool stream = false;
  bool include_usage = false;
  bool ignore_end = false;
  schema::AnswerLanguage language;
  ToolUse tools;
  Standing standing;
};

/// Throws ApiError (400) that names the parameter. `body` is a JSON object; `random_seed` is used when the
/// request brings no seed.
Request read_request(const nlohmann::ordered_json& body, bool chat, std::uint64_t random_seed);
/// Throws ApiError (400) that names an id of `logit_bias` which no token of the vocabulary has.
void check_bias(const runtime::Sampling& sampling, std::int64_t vocab);
/// The same as read_request of a text.
Request parse_request(std::string_view body, bool chat, std::uint64_t random_seed);

}  // namespace stepdown::server
