#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"
#include "engine/server/responses.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

std::string required_text(const ordered_json& item, const char* field, const std::string& where) {
  const ordered_json* value = member(item, field);
  if (value == nullptr || !value->is_string()) refuse(where + "." + field, "must be a string");
  return value->get<std::string>();
}

/// A message's content: text, or parts that the responses API calls input_text and output_text.
ordered_json content_of(const ordered_json* content, const std::string& where) {
  if (content == nullptr) refuse(where, "is missing");
  if (!content->is_array()) return *content;
  ordered_json parts = ordered_json::array();
  for (const ordered_json& part : *content) {
    const ordered_json* type = part.is_object() ? member(part, "type") : nullptr;
    const bool text = type != nullptr && (*type == "input_text" || *type == "output_text" || *type == "text");
    if (!text) throw ApiError(400, "unsupported_content", "'" + where + "' may hold text parts only", where);
    parts.push_back({{"type", "text"}, {"text", required_text(part, "text", where)}});
  }
  return parts;
}

ordered_json call_of(const ordered_json& item, const std::string& where) {
  return {{"id", required_text(item, "call_id", where)},
          {"type", "function"},
          {"function",
           {{"name", required_text(item, "name", where)},
            {"arguments", required_text(item, "arguments", where)}}}};
}

void add_item(const ordered_json& item, const std::string& where, ordered_json& messages) {
  if (!item.is_object()) refuse(where, "must be an object");
  const auto type =
      item.contains("type") && item["type"].is_string() ? item["type"].get<std::string>() : "message";
  if (type == "message") {
    messages.push_back({{"role", required_text(item, "role", where)},
                        {"content", content_of(member(item, "content"), where + ".content")}});
  } else if (type == "function_call") {
    // Calls that follow each other are one turn of the assistant, as is the text before them.
    const bool joins = !messages.empty() && messages.back()["role"] == "assistant";
    if (!joins) messages.push_back({{"role", "assistant"}, {"content", nullptr}});
    messages.back()["tool_calls"].push_back(call_of(item, where));
  } else if (type == "function_call_output") {
    messages.push_back({{"role", "tool"},
                        {"tool_call_id", required_text(item, "call_id", where)},
                        {"content", content_of(member(item, "output"), where + ".output")}});
  } else if (type != "reasoning") {  // earlier thoughts, which templates leave out anyway
    throw ApiError(400, "unsupported_content", "items of type '" + type + "' are not supported",
                   where + ".type");
  }
}

ordered_json messages_of(const ordered_json& body) {
  ordered_json messages = ordered_json::array();
  if (const ordered_json* instructions = member(body, "instructions");
      instructions && !instructions->is_null())
    messages.push_back({{"role", "system"}, {"content", *instructions}});
  const ordered_json* input = member(body, "input");
  if (input == nullptr) refuse("input", "is missing");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array() || input->empty()) refuse("input", "must be a string or a list of items");
  for (std::size_t i = 0; i < input->size(); ++i)
    add_item((*input)[i], "input[" + std::to_string(i) + "]", messages);
  return messages;
}

/// The responses API writes {"type": "function", "name", …}, chats nest it in "function".
ordered_json tools_of(const ordered_json& tools) {
  if (!tools.is_array()) refuse("tools", "must be a list");
  ordered_json nested = ordered_json::array();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const ordered_json& tool = tools[i];
    const std::string where = "tools[" + std::to_string(i) + "]";
    if (!tool.is_object() || tool.value("type", ordered_json()) != "function")
      throw ApiError(400, "unsupported_parameter", "'" + where + "' must be a function", where);
    ordered_json function = tool;
    function.erase("type");
    nested.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return nested;
}

/// {"type": "function", "name"}, and tools that are allowed in a flat form too.
ordered_json choice_of(const ordered_json& choice) {
  if (choice.is_object() && choice.value("type", ordered_json()) == "allowed_tools") {
    ordered_json allowed = choice;
    allowed.erase("type");
    const ordered_json* tools = member(choice, "tools");
    if (tools != nullptr && tools->is_array()) {
      for (ordered_json& tool : allowed["tools"]) tool = choice_of(tool);
    }
    return {{"type", "allowed_tools"}, {"allowed_tools", std::move(allowed)}};
  }
  if (choice.is_object() && choice.contains("name") &&
      choice.value("type", ordered_json("function")) == "function")
    return {{"type", "function"}, {"function", {{"name", choice["name"]}}}};
  return choice;
}

ordered_json format_of(const ordered_json& text) {
  const ordered_json* format = text.is_object() ? member(text, "format") : nullptr;
  if (format == nullptr) return nullptr;
  const bool schema = format->is_object() && format->value("type", ordered_json()) == "json_schema";
  if (!schema) return *format;
  ordered_json inner = *format;
  inner.erase("type");
  return {{"type", "json_schema"}, {"json_schema", std::move(inner)}};
}

void refuse_state(const ordered_json& body) {
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    const ordered_json* value = member(body, name);
    if (value != nullptr && !value->is_null()) {
      throw ApiError(
          400, "unsupported_parameter",
          "'" + std::string(name) + "' is not supported: responses are not stored, send the whole input",
          name);
    }
  }
  if (const ordered_json* background = member(body, "background"); background && *background == true)
    throw ApiError(400, "unsupported_parameter", "'background' is not supported", "background");
}

void replace_first(std::string& text, const std::string& from, const std::string& to) {
  if (const std::size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}

}  // namespace

ApiError error_of_response(const ApiError& error) {
  struct Name {
    std::string chat, response;
  };
  static const std::array<Name, 5> kNames = {{{"max_completion_tokens", "max_output_tokens"},
                                              {"response_format.json_schema", "text.format"},
                                              {"response_format", "text.format"},
                                              {".allowed_tools", ""},
                                              {".function", ""}}};
  std::string param = error.param();
  if (param.starts_with("messages")) param = "input";  // which may hold fewer items, or more
  for (const auto& [chat, response] : kNames) replace_first(param, chat, response);
  std::string what = error.what();
  if (!error.param().empty()) replace_first(what, "'" + error.param() + "'", "'" + param + "'");
  return {error.status(), error.code(), what, param};
}

ordered_json chat_body_of_response(const ordered_json& body) {
  constexpr std::array kSame = {"model",
                                "temperature",
                                "top_p",
                                "stream",
                                "user",
                                "safety_identifier",
                                "metadata",
                                "parallel_tool_calls",
                                "seed",
                                "ignore_eos",
                                "priority",
                                "stop",
                                "deadline_ms",
                                "top_k",
                                "min_p",
                                "presence_penalty",
                                "frequency_penalty",
                                "logit_bias",
                                "chat_template_kwargs"};
  refuse_state(body);
  ordered_json chat = ordered_json::object();
  for (const char* name : kSame) {
    if (const ordered_json* value = member(body, name)) chat[name] = *value;
  }
  chat["messages"] = messages_of(body);
  if (const ordered_json* most = member(body, "max_output_tokens")) chat["max_completion_tokens"] = *most;
  if (const ordered_json* tools = member(body, "tools")) chat["tools"] = tools_of(*tools);
  if (const ordered_json* choice = member(body, "tool_choice")) chat["tool_choice"] = choice_of(*choice);
  if (const ordered_json* text = member(body, "text")) {
    if (!text->is_object()) refuse("text", "must be an object");
    ordered_json format = format_of(*text);
    if (!format.is_null()) chat["response_format"] = std::move(format);
  }
  if (const ordered_json* top = member(body, "top_logprobs");
      top != nullptr && !top->is_null() && *top != 0) {
    chat["logprobs"] = true;
    chat["top_logprobs"] = *top;
  }
  return chat;
}

}  // namespace stepdown::server
