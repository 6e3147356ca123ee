#include "operator/rollout/command.h"

namespace stepdown::rollout {

std::optional<Command> parse_command(const std::string& text) {
  const auto first = text.find('/');
  const auto last = text.rfind('/');
  if (first == std::string::npos || first == last || first == 0 || last + 1 == text.size())
    return std::nullopt;
  return Command{text.substr(0, first), text.substr(first + 1, last - first - 1), text.substr(last + 1)};
}

}  // namespace stepdown::rollout
