#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/runtime/engine.h"
#include "engine/schema/schema.h"

namespace stepdown::server {

/// The body of POST /v1/chat/completions or /v1/completions, checked.
struct Request {
  bool chat = false;
  std::string model;

  nlohmann::ordered_json messages;         ///< chat: contents are strings
  nlohmann::ordered_json template_extras;  ///< chat_template_kwargs: further variables of the template
  bool continue_final_message = false;

  using Prompt = std::variant<std::string, std::vector<runtime::TokenId>>;
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
  std::shared_ptr<const schema::Schema> schema;  ///< of response_format; null: free text
};

/// Throws ApiError (400) that names the parameter. `random_seed` is used when the request brings no seed.
Request parse_request(std::string_view body, bool chat, std::uint64_t random_seed);

}  // namespace stepdown::server
