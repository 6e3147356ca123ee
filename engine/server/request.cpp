#include "engine/server/request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/base/bounded_json.h"
#include "engine/base/json_nesting.h"
#include "engine/server/api_error.h"
#include "engine/tokenizer/messages.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

/// Reads fields of the body.
class Fields {
 public:
  explicit Fields(const ordered_json& body) : body_(body) {}

  const ordered_json* find(const char* name) const { return member(body_, name); }
  bool flag(const char* name, bool otherwise = false) const {
    const ordered_json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(name, "must be true or false");
    return value->get<bool>();
  }
  double number(const char* name, double otherwise, double low, double high) const {
    const ordered_json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
      refuse(name, "must be a number from " + ordered_json(low).dump() + " to " + ordered_json(high).dump());
    }
    return value->get<double>();
  }
  std::optional<std::int64_t> integer(const char* name, std::int64_t low, std::int64_t high) const {
    const ordered_json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX);
    if (!fits || value->get<std::int64_t>() < low || value->get<std::int64_t>() > high) {
      refuse(name, "must be an integer from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return value->get<std::int64_t>();
  }

 private:
  const ordered_json& body_;
};

void refuse_unsupported(const Fields& fields) {
  for (const char* name : {"functions", "function_call", "audio", "suffix", "prediction"}) {
    const ordered_json* value = fields.find(name);
    const bool harmless = value == nullptr || *value == "none" || (value->is_array() && value->empty());
    if (!harmless)
      throw ApiError(400, "unsupported_parameter", "'" + std::string(name) + "' is not supported", name);
  }
  if (fields.flag("echo")) throw ApiError(400, "unsupported_parameter", "'echo' is not supported", "echo");
  if (fields.integer("best_of", 1, 20).value_or(1) > 1)
    throw ApiError(400, "unsupported_parameter", "'best_of' is not supported", "best_of");
}

runtime::Sampling sampling_of(const Fields& fields, std::uint64_t random_seed) {
  runtime::Sampling sampling;
  sampling.temperature = static_cast<float>(fields.number("temperature", 1.0, 0.0, 2.0));
  sampling.top_p = static_cast<float>(fields.number("top_p", 1.0, 0.0, 1.0));
  sampling.min_p = static_cast<float>(fields.number("min_p", 0.0, 0.0, 1.0));
  sampling.top_k =
      static_cast<std::int32_t>(std::max<std::int64_t>(fields.integer("top_k", -1, 1 << 30).value_or(0), 0));
  sampling.presence_penalty = static_cast<float>(fields.number("presence_penalty", 0.0, -2.0, 2.0));
  sampling.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", 0.0, -2.0, 2.0));
  const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  sampling.seed = seed ? static_cast<std::uint64_t>(*seed) : random_seed;
  const ordered_json* bias = fields.find("logit_bias");
  if (bias == nullptr) return sampling;
  if (!bias->is_object()) refuse("logit_bias", "must map token ids to numbers");
  for (const auto& [key, value] : bias->items()) {
    runtime::TokenId id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      refuse("logit_bias", "must map token ids to numbers");
    if (!value.is_number() || std::fabs(value.get<double>()) > 100)
      refuse("logit_bias", "must hold numbers from -100 to 100");
    sampling.logit_bias[id] = value.get<float>();
  }
  return sampling;
}

std::vector<std::string> stops_of(const Fields& fields) {
  constexpr std::size_t kMost = 16;
  const ordered_json* value = fields.find("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stops;
  for (const ordered_json& one : value->is_array() ? *value : ordered_json::array({*value})) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty())
      refuse("stop", "must be a string or a list of strings, none empty");
    stops.push_back(one.get<std::string>());
  }
  if (stops.size() > kMost) refuse("stop", "may hold at most " + std::to_string(kMost) + " strings");
  return stops;
}

std::vector<runtime::TokenId> tokens_of(const ordered_json& list, const std::string& field) {
  std::vector<runtime::TokenId> tokens;
  for (const ordered_json& id : list) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > INT32_MAX)
      refuse(field, "must hold token ids");
    tokens.push_back(id.get<runtime::TokenId>());
  }
  return tokens;
}

void read_logprobs(const Fields& fields, Request& request) {
  if (request.chat) {
    request.logprobs = fields.flag("logprobs");
    request.top_logprobs = static_cast<std::int32_t>(fields.integer("top_logprobs", 0, 20).value_or(0));
    if (request.top_logprobs > 0 && !request.logprobs) refuse("top_logprobs", "needs 'logprobs': true");
    return;
  }
  const auto count = fields.integer("logprobs", 0, 20);
  request.logprobs = count.has_value();
  request.top_logprobs = static_cast<std::int32_t>(count.value_or(0));
}

void read_stream(const Fields& fields, Request& request) {
  request.stream = fields.flag("stream");
  const ordered_json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!request.stream) refuse("stream_options", "needs 'stream': true");
  if (!options->is_object()) refuse("stream_options", "must be an object");
  request.include_usage = Fields(*options).flag("include_usage");
}

schema::AnswerLanguage language_of(const ordered_json& body) {
  try {
    return schema::answer_language(body);
  } catch (const schema::LanguageError& error) {
    throw ApiError(400, error.code(), error.what(), error.param());
  }
}

}  // namespace

std::vector<Prompt> read_prompts(const ordered_json* value, const std::string& field) {
  constexpr std::size_t kMost = 64;
  if (value == nullptr) refuse(field, "is missing");
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array() || value->empty()) refuse(field, "must be a string, token ids, or a list of either");
  if (value->front().is_number()) return {tokens_of(*value, field)};
  if (value->size() > kMost) refuse(field, "may hold at most " + std::to_string(kMost) + " texts");
  std::vector<Prompt> prompts;
  for (const ordered_json& one : *value) {
    if (one.is_string()) {
      prompts.emplace_back(one.get<std::string>());
    } else if (one.is_array()) {
      prompts.emplace_back(tokens_of(one, field));
    } else {
      refuse(field, "must be a string, token ids, or a list of either");
    }
  }
  return prompts;
}

Standing read_standing(const ordered_json& body) {
  const Fields fields(body);
  Standing standing;
  standing.priority =
      static_cast<std::int32_t>(fields.integer("priority", -1'000'000, 1'000'000).value_or(0));
  for (const char* name : {"user", "safety_identifier"}) {
    if (const ordered_json* user = fields.find(name); user != nullptr) {
      if (!user->is_string()) refuse(name, "must be a string");
      standing.user = user->get<std::string>();
    }
  }
  if (const auto deadline = fields.integer("deadline_ms", 1, 86'400'000))
    standing.deadline = std::chrono::milliseconds(*deadline);
  return standing;
}

ordered_json parse_body(std::string_view body) {
  constexpr std::size_t kMostMembers = 10'000;  // each is looked for among all before it
  if (nests_too_deeply(body)) throw ApiError(400, "invalid_json", "the body is nested too deeply");
  if (holds_wider_object(body, kMostMembers))
    throw ApiError(400, "invalid_json", "an object of the body has more than 10,000 members");
  ordered_json json;
  try {
    json = ordered_json::parse(body);
  } catch (const ordered_json::exception& error) {
    throw ApiError(400, "invalid_json", "the body is no JSON: " + plain_words(error));
  }
  if (!json.is_object()) throw ApiError(400, "invalid_json", "the body must be a JSON object");
  return json;
}

void check_bias(const runtime::Sampling& sampling, std::int64_t vocab) {
  const auto wrong = sampling.logit_bias.lower_bound(static_cast<runtime::TokenId>(vocab));
  if (wrong == sampling.logit_bias.end()) return;
  refuse("logit_bias", "names token " + std::to_string(wrong->first) +
                           ", which is outside the vocabulary of " + std::to_string(vocab));
}

Request parse_request(std::string_view body, bool chat, std::uint64_t random_seed) {
  return read_request(parse_body(body), chat, random_seed);
}

Request read_request(const ordered_json& json, bool chat, std::uint64_t random_seed) {
  const Fields fields(json);
  refuse_unsupported(fields);
  Request request;
  request.chat = chat;
  const ordered_json* model = fields.find("model");
  if (model == nullptr || !model->is_string()) refuse("model", "must name a model");
  request.model = model->get<std::string>();
  if (chat) {
    const ordered_json* messages = fields.find("messages");
    if (messages == nullptr) refuse("messages", "is missing");
    request.messages = *messages;
    if (const auto fault = tokenizer::normalize_messages(request.messages)) {
      throw ApiError(400, fault->unsupported ? "unsupported_content" : "invalid_value", fault->what,
                     fault->place);
    }
    request.continue_final_message = fields.flag("continue_final_message");
    const ordered_json* extras = fields.find("chat_template_kwargs");
    if (extras != nullptr && !extras->is_object()) refuse("chat_template_kwargs", "must be an object");
    if (extras != nullptr) request.template_extras = *extras;
    if (request.continue_final_message && request.messages.back()["role"] != "assistant") {
      refuse("continue_final_message", "needs a last message of the assistant");
    }
  } else {
    request.prompts = read_prompts(fields.find("prompt"), "prompt");
  }
  constexpr std::int64_t kMostTokens = 1 << 30;
  request.max_tokens = fields.integer("max_completion_tokens", 1, kMostTokens);
  if (!request.max_tokens) request.max_tokens = fields.integer("max_tokens", 1, kMostTokens);
  if (!request.max_tokens && !chat) request.max_tokens = 16;  // OpenAI's default for completions
  request.n = fields.integer("n", 1, 16).value_or(1);
  request.sampling = sampling_of(fields, random_seed);
  request.stop = stops_of(fields);
  read_logprobs(fields, request);
  read_stream(fields, request);
  request.ignore_end = fields.flag("ignore_eos");
  request.language = language_of(json);
  if (chat) request.tools = read_tools(json);
  if (!request.language.any_text() && request.tools.choice == ToolUse::Choice::kRequired)
    refuse("tool_choice", "cannot ask for a call where the answer must be a document");
  request.standing = read_standing(json);
  return request;
}

}  // namespace stepdown::server
