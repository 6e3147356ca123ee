#include "operator/gateway/proxy/requests.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* kPassed[] = {"content-type", "authorization", "accept", "user-agent"};

}  // namespace

Request to_engine(const Request& client, std::string_view request_id, const TraceContext& trace,
                  std::string_view span_id, std::string body) {
  Request request{client.method, client.target, {}, std::move(body)};
  for (const char* name : kPassed) {
    const std::string_view value = find_header(client.headers, name);
    if (!value.empty()) request.headers.push_back({name, std::string(value)});
  }
  request.headers.push_back({"x-request-id", std::string(request_id)});
  request.headers.push_back({"traceparent", traceparent(trace, span_id)});
  if (!trace.state.empty()) request.headers.push_back({"tracestate", trace.state});
  return request;
}

json greedy_copy(const json& request) {
  json copy = request;
  copy["temperature"] = 0;
  copy["stream"] = false;
  copy.erase("stream_options");
  copy.erase("n");
  return copy;
}

std::optional<json> continuation(const json& request, const Expectation& expected, std::string_view released,
                                 std::size_t tokens) {
  json next = request;
  if (expected.chat) {
    if (!next.contains("messages") || !next["messages"].is_array()) return std::nullopt;
    if (!expected.written.empty()) next["messages"].erase(next["messages"].size() - 1);
    next["messages"].push_back(
        {{"role", "assistant"}, {"content", expected.written + std::string(released)}});
    next["continue_final_message"] = true;
    next["add_generation_prompt"] = false;
  } else {
    if (!next.contains("prompt") || !next["prompt"].is_string()) return std::nullopt;
    // An engine would begin the document anew behind the text: the gateway checks the whole itself, if it
    // can.
    const json language = schema::language_fields(next);
    if (!language.empty() && expected.language.any_text()) return std::nullopt;
    for (const auto& [name, value] : language.items()) next.erase(name);
    next["prompt"] = next["prompt"].get<std::string>() + std::string(released);
  }
  for (const char* limit : {"max_tokens", "max_completion_tokens"}) {
    if (!next.contains(limit) || !next[limit].is_number_unsigned()) continue;
    const auto most = next[limit].get<std::size_t>();
    next[limit] = most > tokens ? most - tokens : 1;
  }
  return next;
}

}  // namespace stepdown::gateway
