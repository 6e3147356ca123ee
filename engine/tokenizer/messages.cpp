#include "engine/tokenizer/messages.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"

namespace stepdown::tokenizer {
namespace {

using nlohmann::ordered_json;
using Fault = std::optional<MessageFault>;

Fault fault(const std::string& place, const std::string& what, bool unsupported = false) {
  return MessageFault{place, "'" + place + "' " + what, unsupported};
}

/// Joins the parts.
Fault join_text(ordered_json& content, const std::string& place) {
  if (content.is_string()) return {};
  if (content.is_null()) {
    content = "";
    return {};
  }
  if (!content.is_array()) return fault(place, "must be a string or a list of parts");
  std::string text;
  for (const ordered_json& part : content) {
    const bool is_text = part.is_object() && part.contains("type") && part["type"] == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text) return fault(place, "may hold text parts only", /*unsupported=*/true);
    text += part["text"].get_ref<const std::string&>();
  }
  content = std::move(text);
  return {};
}

/// OpenAI writes a call's arguments as a text, templates walk them as an object.
Fault read_calls(ordered_json& calls, const std::string& place) {
  if (calls.is_null()) return {};
  if (!calls.is_array()) return fault(place, "must be a list");
  for (ordered_json& call : calls) {
    const bool known = call.is_object() && call.contains("function") && call["function"].is_object();
    if (!known) return fault(place, "must hold function calls");
    ordered_json& function = call["function"];
    if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
    auto arguments = parse_bounded(function["arguments"].get_ref<const std::string&>());
    if (arguments.is_object()) function["arguments"] = std::move(arguments);
  }
  return {};
}

Fault normalize(ordered_json& message, const std::string& place) {
  constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
  if (!message.is_object()) return fault(place, "must be an object");
  const std::string role = message.contains("role") && message["role"].is_string()
                               ? message["role"].get<std::string>()
                               : std::string();
  if (std::ranges::find(kRoles, role) == kRoles.end())
    return fault(place + ".role", "must be system, developer, user, assistant or tool");
  ordered_json& content = message["content"];
  if (content.is_null() && role != "assistant")  // whose turn may be calls alone
    return fault(place + ".content", "is missing");
  if (Fault found = join_text(content, place + ".content")) return found;
  if (role == "developer") message["role"] = "system";  // OpenAI's newer name; templates know the older
  return message.contains("tool_calls") ? read_calls(message["tool_calls"], place + ".tool_calls") : Fault();
}

}  // namespace

Fault normalize_messages(ordered_json& messages) {
  if (!messages.is_array() || messages.empty()) return fault("messages", "must be a list, not empty");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (Fault found = normalize(messages[i], "messages[" + std::to_string(i) + "]")) return found;
  }
  return {};
}

}  // namespace stepdown::tokenizer
