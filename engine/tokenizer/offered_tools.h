#pragma once

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "engine/tokenizer/messages.h"

namespace stepdown::tokenizer {

/// What is wrong with the tools of a chat: a list of {"type": "function", "function": {"name",
/// "parameters"?}}, as OpenAI's requests have it. The first fault, if any.
std::optional<MessageFault> check_tools(const nlohmann::ordered_json& tools);

/// Beside the `messages` of a logged chat lie the `tools` that it offered: what the template is shown of
/// them, null where there are none or `tool_choice` forbade calls, as when it was served. The first fault, if
/// any; then `shown` is in no certain state.
std::optional<MessageFault> read_tools(const nlohmann::ordered_json& chat, nlohmann::ordered_json& shown);

}  // namespace stepdown::tokenizer
