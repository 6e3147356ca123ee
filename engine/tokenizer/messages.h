#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::tokenizer {

/// What is wrong with a chat's messages.
struct MessageFault {
  std::string place;         ///< "messages[1].content"
  std::string what;          ///< a sentence that names the place
  bool unsupported = false;  ///< well formed, but of a kind that no text model reads
};

/// A chat as templates read it, from a chat as OpenAI's clients and logs write it: contents given in text
/// parts are joined, the assistant's may be null beside its calls, whose arguments become objects, and a
/// developer is a system. The first fault, if any; then the messages are in no certain state.
std::optional<MessageFault> normalize_messages(nlohmann::ordered_json& messages);

}  // namespace stepdown::tokenizer
