#include "operator/rollout/command.h"

namespace stepdown::rollout {

std::optional<Command> parse_command(const std::string& text) {
  const auto first = text.find('/');
  const auto last = text.rfind('/');
  if (first == std::string::npos || first == last || first == 0 || last + 1 == text.size())
    return std::nullopt;
  return Command{text.substr(0, first), text.substr(first + 1, last - first - 1), text.substr(last + 1)};
}

std::optional<Command> pending_command(const api::QuantizedModel& model) {
  const auto text = model.metadata.annotations.find(kCommandAnnotation);
  if (text == model.metadata.annotations.end()) return std::nullopt;
  auto command = parse_command(text->second);
  if (!command || (model.status.command && model.status.command->id == command->id)) return std::nullopt;
  return command;
}

api::CommandStatus answer(const Command& command, api::Time now, const std::string& refusal) {
  return {.id = command.id,
          .verb = command.verb,
          .digest = command.digest,
          .result = refusal.empty() ? "Done" : "Refused",
          .message = refusal,
          .at = api::format_time(now)};
}

}  // namespace stepdown::rollout
