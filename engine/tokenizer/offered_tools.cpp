#include "engine/tokenizer/offered_tools.h"

#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"

namespace stepdown::tokenizer {
namespace {

using nlohmann::ordered_json;
using Fault = std::optional<MessageFault>;

Fault fault(const std::string& place, const std::string& what) {
  return MessageFault{place, "'" + place + "' " + what};
}

Fault check_tool(const ordered_json& tool, const std::string& place) {
  const ordered_json* type = tool.is_object() ? member(tool, "type") : nullptr;
  const ordered_json* function = tool.is_object() ? member(tool, "function") : nullptr;
  if (type == nullptr || *type != "function" || function == nullptr || !function->is_object())
    return fault(place, "must be {\"type\": \"function\", \"function\": {…}}");
  const ordered_json* name = member(*function, "name");
  if (name == nullptr || !name->is_string() || name->get_ref<const std::string&>().empty())
    return fault(place + ".function.name", "must name the function");
  const ordered_json* parameters = member(*function, "parameters");
  if (parameters != nullptr && !parameters->is_object())
    return fault(place + ".function.parameters", "must be a JSON Schema");
  const ordered_json* strict = member(*function, "strict");
  if (strict != nullptr && !strict->is_boolean())
    return fault(place + ".function.strict", "must be true or false");
  return {};
}

}  // namespace

Fault check_tools(const ordered_json& tools) {
  if (!tools.is_array()) return fault("tools", "must be a list");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (Fault found = check_tool(tools[i], "tools[" + std::to_string(i) + "]")) return found;
  }
  return {};
}

Fault read_tools(const ordered_json& chat, ordered_json& shown) {
  shown = nullptr;
  const ordered_json* tools = member(chat, "tools");
  if (tools == nullptr) return {};
  if (Fault found = check_tools(*tools)) return found;
  const ordered_json* choice = member(chat, "tool_choice");
  const bool forbidden = choice != nullptr && *choice == "none";
  if (!tools->empty() && !forbidden) shown = *tools;
  return {};
}

}  // namespace stepdown::tokenizer
