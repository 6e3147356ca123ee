#include "engine/server/messages.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& content, const std::string& where) {
  if (content.is_null()) return {};
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array())
    throw ApiError(400, "invalid_value", "'" + where + "' must be a string or a list of parts", where);
  std::string text;
  for (const ordered_json& part : content) {
    const bool is_text = part.is_object() && part.contains("type") && part["type"] == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text)
      throw ApiError(400, "unsupported_content", "'" + where + "' may hold text parts only", where);
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

/// OpenAI writes a call's arguments as a text, templates walk them as an object.
void read_calls(ordered_json& calls, const std::string& where) {
  if (calls.is_null()) return;
  if (!calls.is_array()) throw ApiError(400, "invalid_value", "'" + where + "' must be a list", where);
  for (ordered_json& call : calls) {
    const bool known = call.is_object() && call.contains("function") && call["function"].is_object();
    if (!known) throw ApiError(400, "invalid_value", "'" + where + "' must hold function calls", where);
    ordered_json& function = call["function"];
    if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
    auto arguments = parse_bounded(function["arguments"].get_ref<const std::string&>());
    if (arguments.is_object()) function["arguments"] = std::move(arguments);
  }
}

}  // namespace

ordered_json read_messages(const ordered_json& messages) {
  constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
  if (!messages.is_array() || messages.empty())
    throw ApiError(400, "invalid_value", "'messages' must be a list, not empty", "messages");
  ordered_json read = ordered_json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string where = "messages[" + std::to_string(i) + "]";
    const ordered_json& message = messages[i];
    if (!message.is_object())
      throw ApiError(400, "invalid_value", "'" + where + "' must be an object", where);
    const auto role = message.contains("role") && message["role"].is_string()
                          ? message["role"].get<std::string>()
                          : std::string();
    if (std::ranges::find(kRoles, role) == kRoles.end()) {
      throw ApiError(400, "invalid_value",
                     "'" + where + ".role' must be system, developer, user, assistant or tool",
                     where + ".role");
    }
    ordered_json copy = message;
    const ordered_json content = message.value("content", ordered_json());
    if (content.is_null() && role != "assistant")  // whose turn may be calls alone
      throw ApiError(400, "invalid_value", "'" + where + ".content' is missing", where + ".content");
    copy["content"] = text_of(content, where + ".content");
    if (copy.contains("tool_calls")) read_calls(copy["tool_calls"], where + ".tool_calls");
    if (role == "developer") copy["role"] = "system";  // OpenAI's newer name; templates know the older
    read.push_back(std::move(copy));
  }
  return read;
}

}  // namespace stepdown::server
