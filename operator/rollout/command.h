#pragma once

#include <optional>
#include <string>

#include "operator/api/kinds.h"
#include "operator/api/time.h"

namespace stepdown::rollout {

inline constexpr const char* kCommandAnnotation = "stepdown.dev/command";

/// The annotation stepdown.dev/command: "verb/digest/uuid". The digest may be empty: whatever is rolled out.
struct Command {
  std::string verb;
  std::string digest;
  std::string id;
};

/// nullopt when the text is no command. Digests hold no '/', so the text is cut at the first and the last.
std::optional<Command> parse_command(const std::string& text);

/// The command that a model carries and that status does not acknowledge yet.
std::optional<Command> pending_command(const api::QuantizedModel& model);

/// status.command that says what became of one. `refusal`: why not; empty when it was carried out.
api::CommandStatus answer(const Command& command, api::Time now, const std::string& refusal);

}  // namespace stepdown::rollout
