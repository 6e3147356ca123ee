#include "engine/server/tools.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"
#include "engine/tokenizer/offered_tools.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

/// Of one that tokenizer::check_tools() found nothing wrong with.
Tool read_tool(const ordered_json& tool, const std::string& place) {
  const ordered_json& function = tool["function"];
  const ordered_json* parameters = member(function, "parameters");
  const ordered_json* strict = member(function, "strict");
  if (strict != nullptr && *strict == true && (parameters == nullptr || !may_be_object(*parameters)))
    refuse(place + ".function.parameters",
           "must be a JSON Schema of an object where 'strict' is true; of a function without parameters "
           "{\"type\": \"object\", \"properties\": {}}");
  return {function["name"].get<std::string>(),
          parameters != nullptr ? *parameters
                                : ordered_json{{"type", "object"}, {"properties", ordered_json::object()}},
          strict != nullptr && *strict == true};
}

/// An answer calls by names.
void check_names(const std::vector<Tool>& tools) {
  constexpr std::string_view kCharacters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/";
  constexpr std::size_t kLongest = 128;
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string& name = tools[i].name;
    if (name.empty() || name.size() > kLongest || name.find_first_not_of(kCharacters) != std::string::npos)
      refuse(
          "tools[" + std::to_string(i) + "].function.name",
          "must be 1 to 128 letters, digits and _ - . : /: the formats in which models call hold no others");
    if (names.insert(tools[i].name).second) continue;
    refuse("tools[" + std::to_string(i) + "].function.name",
           "is '" + tools[i].name + "', as a tool before it: names must differ");
  }
}

/// The name in {"type": "function", "function": {"name"}}; null: it is something else.
const ordered_json* function_name(const ordered_json& choice) {
  const ordered_json* type = choice.is_object() ? member(choice, "type") : nullptr;
  if (type != nullptr && *type != "function") return nullptr;
  const ordered_json* function = choice.is_object() ? member(choice, "function") : nullptr;
  return function != nullptr && function->is_object() ? member(*function, "name") : nullptr;
}

/// {"mode", "tools"}: the model may call some of the tools that it is shown.
void read_allowed(const ordered_json& allowed, ToolUse& use) {
  const ordered_json* mode = allowed.is_object() ? member(allowed, "mode") : nullptr;
  const ordered_json* tools = allowed.is_object() ? member(allowed, "tools") : nullptr;
  const bool required = mode != nullptr && *mode == "required";
  if (mode == nullptr || (!required && *mode != "auto"))
    refuse("tool_choice.allowed_tools.mode", "must be auto or required");
  if (tools == nullptr || !tools->is_array() || tools->empty())
    refuse("tool_choice.allowed_tools.tools", "must list tools");
  std::vector<Tool> chosen;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string place = "tool_choice.allowed_tools.tools[" + std::to_string(i) + "]";
    const ordered_json* name = function_name((*tools)[i]);
    if (name == nullptr) refuse(place, "must be {\"type\": \"function\", \"function\": {\"name\": …}}");
    const auto tool = std::ranges::find_if(use.tools, [name](const Tool& t) { return *name == t.name; });
    if (tool == use.tools.end()) refuse(place, "names a function that is not in 'tools'");
    const bool twice = std::ranges::find(chosen, tool->name, &Tool::name) != chosen.end();
    if (!twice) chosen.push_back(*tool);
  }
  use.choice = required ? ToolUse::Choice::kRequired : ToolUse::Choice::kAuto;
  use.tools = std::move(chosen);
}

void read_choice(const ordered_json& choice, ToolUse& use) {
  if (choice == "none") {
    use.choice = ToolUse::Choice::kNone;
  } else if (choice == "required") {
    use.choice = ToolUse::Choice::kRequired;
  } else if (choice != "auto") {
    const ordered_json* type = choice.is_object() ? member(choice, "type") : nullptr;
    if (type != nullptr && *type != "function" && *type != "allowed_tools")
      refuse("tool_choice.type", "must be function or allowed_tools");
    const bool lists = type == nullptr || *type == "allowed_tools";
    const ordered_json* allowed = choice.is_object() && lists ? member(choice, "allowed_tools") : nullptr;
    if (allowed != nullptr) return read_allowed(*allowed, use);
    const ordered_json* name = function_name(choice);
    if (name == nullptr) {
      refuse("tool_choice",
             "must be none, auto, required, {\"type\": \"function\", …} or {\"type\": \"allowed_tools\", …}");
    }
    const auto chosen =
        std::ranges::find_if(use.tools, [name](const Tool& tool) { return *name == tool.name; });
    if (chosen == use.tools.end()) refuse("tool_choice", "names a function that is not in 'tools'");
    use.choice = ToolUse::Choice::kRequired;
    use.named = true;
    use.tools = {*chosen};
  }
}

}  // namespace

bool may_be_object(const ordered_json& schema) {
  const ordered_json* type = member(schema, "type");
  if (type == nullptr || !type->is_array()) return type == nullptr || *type == "object";
  return std::find(type->begin(), type->end(), "object") != type->end();
}

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
  for (std::size_t i = 0; i < tools->size(); ++i)
    use.tools.push_back(read_tool((*tools)[i], "tools[" + std::to_string(i) + "]"));
  check_names(use.tools);
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
