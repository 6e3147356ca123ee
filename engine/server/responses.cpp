#include "engine/server/responses.h"

#include <utility>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

std::string tail_of(const AnswerHead& head) {
  return head.id.substr(head.id.find('_') + 1);
}

ordered_json text_part(const std::string& text, ordered_json logprobs = ordered_json::array()) {
  return {{"type", "output_text"},
          {"text", text},
          {"annotations", ordered_json::array()},
          {"logprobs", std::move(logprobs)}};
}

ordered_json message_item(const AnswerHead& head, const char* status, ordered_json content) {
  return {{"type", "message"},
          {"id", "msg_" + tail_of(head)},
          {"status", status},
          {"role", "assistant"},
          {"content", std::move(content)}};
}

ordered_json call_item(const AnswerHead& head, const Choice& choice, std::size_t index, bool whole) {
  const ToolCall& call = choice.calls[index];
  const std::string id = call_id(head, 0, index);
  return {{"type", "function_call"},
          {"id", "fc_" + id},
          {"call_id", id},
          {"name", call.name},
          {"arguments", whole ? call.arguments : std::string()},
          {"status", whole ? "completed" : "in_progress"}};
}

bool is_cut(const Choice& choice) {
  return choice.finish_reason == "length";
}

ordered_json whole_text(const Choice& choice) {
  return text_part(choice.full, output_logprobs(choice.logprobs));
}

/// What was said, the text first; `choice` is finished.
ordered_json output_of(const AnswerHead& head, const Choice& choice) {
  ordered_json output = ordered_json::array();
  if (!choice.full.empty() || choice.calls.empty())
    output.push_back(message_item(head, is_cut(choice) ? "incomplete" : "completed",
                                  ordered_json::array({whole_text(choice)})));
  for (std::size_t i = 0; i < choice.calls.size(); ++i) output.push_back(call_item(head, choice, i, true));
  return output;
}

/// The response without what it says: its settings as asked for, or OpenAI's defaults.
ordered_json frame(const AnswerHead& head, const ordered_json& body, const char* status) {
  const auto asked = [&body](const char* name, ordered_json otherwise) {
    const ordered_json* value = member(body, name);
    return value == nullptr ? std::move(otherwise) : *value;
  };
  return {{"id", head.id},
          {"object", "response"},
          {"created_at", head.created},
          {"status", status},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", asked("instructions", nullptr)},
          {"max_output_tokens", asked("max_output_tokens", nullptr)},
          {"model", head.model},
          {"output", ordered_json::array()},
          {"parallel_tool_calls", asked("parallel_tool_calls", true)},
          {"previous_response_id", nullptr},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
          {"store", false},
          {"temperature", asked("temperature", 1.0)},
          {"text", asked("text", {{"format", {{"type", "text"}}}})},
          {"tool_choice", asked("tool_choice", "auto")},
          {"tools", asked("tools", ordered_json::array())},
          {"top_p", asked("top_p", 1.0)},
          {"truncation", "disabled"},
          {"usage", nullptr},
          {"user", asked("user", nullptr)},
          {"metadata", asked("metadata", ordered_json::object())}};
}

}  // namespace

ordered_json response_json(const AnswerHead& head, const ordered_json& body, const Choice& choice,
                           const Confidence& confidence) {
  ordered_json response = frame(head, body, is_cut(choice) ? "incomplete" : "completed");
  if (is_cut(choice)) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
  response["output"] = output_of(head, choice);
  response["usage"] = {{"input_tokens", head.prompt_tokens},
                       {"input_tokens_details", {{"cached_tokens", head.cached_tokens}}},
                       {"output_tokens", choice.tokens},
                       {"output_tokens_details", {{"reasoning_tokens", 0}}},
                       {"total_tokens", head.prompt_tokens + choice.tokens}};
  response["stepdown"] = confidence_json(head, confidence);
  return response;
}

std::string ResponseStream::event(const char* type, ordered_json fields) {
  ordered_json event = {{"type", type}, {"sequence_number", sequence_++}};
  event.update(fields);
  return "event: " + std::string(type) + "\n" + sse(event);
}

std::string ResponseStream::begin(const Generation& generation) {
  begun_ = true;
  const ordered_json response = frame(generation.head(), body_, "in_progress");
  std::string out = event("response.created", {{"response", response}});
  return out += event("response.in_progress", {{"response", response}});
}

std::string ResponseStream::begin_text(const Generation& generation) {
  text_begun_ = true;
  const ordered_json item = message_item(generation.head(), "in_progress", ordered_json::array());
  std::string out = event("response.output_item.added", {{"output_index", 0}, {"item", item}});
  return out +=
         event("response.content_part.added",
               {{"item_id", item["id"]}, {"output_index", 0}, {"content_index", 0}, {"part", text_part("")}});
}

std::string ResponseStream::events(Generation& generation, const Generation::Update& update) {
  Choice& choice = generation.choices()[0];
  std::string out = begun_ ? std::string() : begin(generation);
  const bool silent = choice.calls.empty() && generation.done() && !text_begun_;  // said nothing at all
  if (!text_begun_ && (!update.text.empty() || silent)) out += begin_text(generation);
  if (!update.text.empty()) {
    out += event("response.output_text.delta", {{"item_id", "msg_" + tail_of(generation.head())},
                                                {"output_index", 0},
                                                {"content_index", 0},
                                                {"delta", update.text},
                                                {"logprobs", ordered_json::array()}});
  }
  if (generation.done()) out += end(generation);
  return out;
}

std::string ResponseStream::end(Generation& generation) {
  const Choice& choice = generation.choices()[0];
  const AnswerHead& head = generation.head();
  const ordered_json response = response_json(head, body_, choice, generation.confidence());
  std::string out;
  std::size_t index = 0;
  if (text_begun_) {
    const ordered_json& item = response["output"][index];
    const ordered_json place = {{"item_id", item["id"]}, {"output_index", index}, {"content_index", 0}};
    ordered_json done = place;
    done.update({{"text", choice.full}, {"logprobs", item["content"][0]["logprobs"]}});
    out += event("response.output_text.done", std::move(done));
    ordered_json part = place;
    part["part"] = item["content"][0];
    out += event("response.content_part.done", std::move(part));
    out += event("response.output_item.done", {{"output_index", index}, {"item", item}});
    ++index;
  }
  for (std::size_t i = 0; i < choice.calls.size(); ++i, ++index) {
    const ordered_json item = call_item(head, choice, i, true);
    const ordered_json place = {{"item_id", item["id"]}, {"output_index", index}};
    out += event("response.output_item.added",
                 {{"output_index", index}, {"item", call_item(head, choice, i, false)}});
    ordered_json delta = place;
    delta["delta"] = item["arguments"];
    out += event("response.function_call_arguments.delta", std::move(delta));
    ordered_json done = place;
    done.update({{"name", item["name"]}, {"arguments", item["arguments"]}});
    out += event("response.function_call_arguments.done", std::move(done));
    out += event("response.output_item.done", {{"output_index", index}, {"item", item}});
  }
  return out +=
         event(is_cut(choice) ? "response.incomplete" : "response.completed", {{"response", response}});
}

std::string ResponseStream::failure(const ApiError& error) {
  const ordered_json inner = error.body()["error"];
  return event(
      "error",
      {{"code", inner["code"]}, {"message", inner["message"]}, {"param", inner["param"]}, {"error", inner}});
}

}  // namespace stepdown::server
