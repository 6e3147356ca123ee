#include "engine/server/tools.h"

#include <algorithm>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"
#include "engine/tokenizer/offered_tools.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

/// Of one that tokenizer::check_tools() found nothing wrong with.
Tool read_tool(const ordered_json& tool) {
  const ordered_json& function = tool["function"];
  const ordered_json* parameters = member(function, "parameters");
  return {function["name"].get<std::string>(),
          parameters != nullptr ? *parameters
                                : ordered_json{{"type", "object"}, {"properties", ordered_json::object()}}};
}

void read_choice(const ordered_json& choice, ToolUse& use) {
  if (choice == "none") {
    use.choice = ToolUse::Choice::kNone;
  } else if (choice == "required") {
    use.choice = ToolUse::Choice::kRequired;
  } else if (choice != "auto") {
    const ordered_json* function = choice.is_object() ? member(choice, "function") : nullptr;
    const ordered_json* name =
        function != nullptr && function->is_object() ? member(*function, "name") : nullptr;
    if (name == nullptr) refuse("tool_choice", "must be none, auto, required or {\"type\": \"function\", …}");
    const auto chosen =
        std::ranges::find_if(use.tools, [name](const Tool& tool) { return *name == tool.name; });
    if (chosen == use.tools.end()) refuse("tool_choice", "names a function that is not in 'tools'");
    use.choice = ToolUse::Choice::kRequired;
    use.named = true;
    use.tools = {*chosen};
  }
}

}  // namespace

ToolUse read_tools(const ordered_json& body) {
  constexpr std::size_t kMostTools = 128;
  ToolUse use;
  const ordered_json* tools = member(body, "tools");
  const ordered_json* choice = member(body, "tool_choice");
  if (tools != nullptr && !tools->is_array()) refuse("tools", "must be a list");
  if (tools == nullptr || tools->empty()) {
    if (choice != nullptr && *choice != "none" && *choice != "auto") refuse("tool_choice", "needs 'tools'");
    return use;
  }
  if (tools->size() > kMostTools) refuse("tools", "may hold at most " + std::to_string(kMostTools));
  if (const auto fault = tokenizer::check_tools(*tools))
    throw ApiError(400, "invalid_value", fault->what, fault->place);
  for (const ordered_json& tool : *tools) use.tools.push_back(read_tool(tool));
  use.choice = ToolUse::Choice::kAuto;
  if (choice != nullptr) read_choice(*choice, use);
  if (const ordered_json* parallel = member(body, "parallel_tool_calls")) {
    if (!parallel->is_boolean()) refuse("parallel_tool_calls", "must be true or false");
    use.parallel = parallel->get<bool>();
  }
  if (use.choice != ToolUse::Choice::kNone) use.declared = *tools;
  return use;
}

}  // namespace stepdown::server
