#pragma once

#include <optional>
#include <string>

namespace stepdown::rollout {

/// The annotation stepdown.dev/command: "verb/digest/uuid". The digest may be empty: whatever is rolled out.
struct Command {
  std::string verb;
  std::string digest;
  std::string id;
};

/// nullopt when the text is no command. Digests hold no '/', so the text is cut at the first and the last.
std::optional<Command> parse_command(const std::string& text);

}  // namespace stepdown::rollout
