#include "engine/server/answer.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json bytes_json(const std::string& bytes) {
  ordered_json list = ordered_json::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return list;
}

/// JSON has no infinities: the least that OpenAI reports stands for them.
double finite(float logprob) {
  return std::isfinite(logprob) ? logprob : -9999.0;
}

ordered_json token_json(const std::string& bytes, float logprob) {
  return {{"token", bytes}, {"logprob", finite(logprob)}, {"bytes", bytes_json(bytes)}};
}

ordered_json listed_logprobs(const std::vector<TokenLogprob>& tokens) {
  ordered_json content = ordered_json::array();
  for (const TokenLogprob& token : tokens) {
    ordered_json entry = token_json(token.bytes, token.logprob);
    entry["top_logprobs"] = ordered_json::array();
    for (const auto& [bytes, logprob] : token.top)
      entry["top_logprobs"].push_back(token_json(bytes, logprob));
    content.push_back(std::move(entry));
  }
  return content;
}

ordered_json completion_logprobs(const std::vector<TokenLogprob>& tokens) {
  ordered_json out = {{"tokens", ordered_json::array()},
                      {"token_logprobs", ordered_json::array()},
                      {"top_logprobs", ordered_json::array()},
                      {"text_offset", ordered_json::array()}};
  for (const TokenLogprob& token : tokens) {
    out["tokens"].push_back(token.bytes);
    out["token_logprobs"].push_back(finite(token.logprob));
    ordered_json top = ordered_json::object();
    for (const auto& [bytes, logprob] : token.top) top[bytes] = finite(logprob);
    out["top_logprobs"].push_back(std::move(top));
    out["text_offset"].push_back(token.offset);
  }
  return out;
}

ordered_json logprobs_json(const Request& request, const std::vector<TokenLogprob>& tokens) {
  if (!request.logprobs || tokens.empty()) return nullptr;
  if (!request.chat) return completion_logprobs(tokens);
  return {{"content", listed_logprobs(tokens)}};
}

ordered_json head_json(const AnswerHead& head, bool chunk) {
  const char* object = head.chat ? (chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return {{"id", head.id}, {"object", object}, {"created", head.created}, {"model", head.model}};
}

ordered_json calls_json(const AnswerHead& head, std::size_t index, const Choice& choice, bool chunk) {
  ordered_json calls = ordered_json::array();
  for (std::size_t i = 0; i < choice.calls.size(); ++i) {
    ordered_json call = ordered_json::object();
    if (chunk) call["index"] = i;
    call["id"] = call_id(head, index, i);
    call["type"] = "function";
    call["function"] = {{"name", choice.calls[i].name}, {"arguments", choice.calls[i].arguments}};
    calls.push_back(std::move(call));
  }
  return calls;
}

ordered_json reason_json(const Choice& choice) {
  return choice.finish_reason ? ordered_json(*choice.finish_reason) : ordered_json();
}

}  // namespace

std::string call_id(const AnswerHead& head, std::size_t choice, std::size_t call) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  const std::string tail = head.id.size() > 6 ? head.id.substr(head.id.size() - 6) : std::string(6, '0');
  return tail + kDigits[choice % kDigits.size()] + kDigits[call / kDigits.size() % kDigits.size()] +
         kDigits[call % kDigits.size()];
}

ordered_json output_logprobs(const std::vector<TokenLogprob>& tokens) {
  return listed_logprobs(tokens);
}

void Confidence::add(const runtime::TokenEvent& event) {
  logprob_sum += event.logprob;
  entropy_sum += event.entropy;
  logprob_min = tokens == 0 ? event.logprob : std::min<double>(logprob_min, event.logprob);
  ++tokens;
}

ordered_json usage_json(const AnswerHead& head, std::int64_t completion_tokens) {
  ordered_json usage = {{"prompt_tokens", head.prompt_tokens},
                        {"completion_tokens", completion_tokens},
                        {"total_tokens", head.prompt_tokens + completion_tokens}};
  if (head.cached_tokens > 0) usage["prompt_tokens_details"] = {{"cached_tokens", head.cached_tokens}};
  return usage;
}

ordered_json confidence_json(const AnswerHead& head, const Confidence& confidence) {
  ordered_json out = {{"revision", head.revision}};
  const auto mean = [&confidence](double sum) {
    return confidence.tokens == 0 ? ordered_json()
                                  : ordered_json(sum / static_cast<double>(confidence.tokens));
  };
  out["mean_logprob"] = mean(confidence.logprob_sum);
  out["min_logprob"] = confidence.tokens == 0 ? ordered_json() : ordered_json(confidence.logprob_min);
  out["mean_entropy"] = mean(confidence.entropy_sum);
  return out;
}

ordered_json answer_json(const AnswerHead& head, const Request& request, const std::vector<Choice>& choices,
                         const Confidence& confidence) {
  ordered_json out = head_json(head, false);
  out["choices"] = ordered_json::array();
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const Choice& choice = choices[i];
    tokens += choice.tokens;
    ordered_json entry = {{"index", i}};
    if (request.chat) {
      const bool called = !choice.calls.empty();
      entry["message"] = {
          {"role", "assistant"},
          {"content", called && choice.full.empty() ? ordered_json() : ordered_json(choice.full)},
          {"refusal", nullptr}};
      if (called) entry["message"]["tool_calls"] = calls_json(head, i, choice, false);
    } else {
      entry["text"] = choice.full;
    }
    entry["logprobs"] = logprobs_json(request, choice.logprobs);
    entry["finish_reason"] = reason_json(choice);
    out["choices"].push_back(std::move(entry));
  }
  out["usage"] = usage_json(head, tokens);
  out["stepdown"] = confidence_json(head, confidence);
  return out;
}

ordered_json chunk_json(const AnswerHead& head, const Request& request, std::size_t index, Choice& choice,
                        const std::string& text, bool role) {
  ordered_json out = head_json(head, true);
  ordered_json entry = {{"index", index}};
  if (request.chat) {
    entry["delta"] = ordered_json::object();
    if (role) entry["delta"]["role"] = "assistant";
    if (role || !text.empty()) entry["delta"]["content"] = text;
    if (choice.finish_reason && !choice.calls.empty())
      entry["delta"]["tool_calls"] = calls_json(head, index, choice, true);
  } else {
    entry["text"] = text;
  }
  entry["logprobs"] = logprobs_json(request, choice.logprobs);
  choice.logprobs.clear();
  entry["finish_reason"] = reason_json(choice);
  out["choices"] = ordered_json::array({std::move(entry)});
  if (request.include_usage) out["usage"] = nullptr;
  return out;
}

ordered_json usage_chunk_json(const AnswerHead& head, std::int64_t completion_tokens) {
  ordered_json out = head_json(head, true);
  out["choices"] = ordered_json::array();
  out["usage"] = usage_json(head, completion_tokens);
  return out;
}

std::string sse(const ordered_json& event) {
  return "data: " + dump(event) + "\n\n";
}

}  // namespace stepdown::server
