#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::server {

/// A function that the model may call.
struct Tool {
  std::string name;
  nlohmann::ordered_json parameters;  ///< JSON Schema of an object
  bool strict = false;                ///< calls must match it, though the model is free not to call
};

/// Whether a schema's `type`, where it has one, lets objects be.
bool may_be_object(const nlohmann::ordered_json& schema);

/// `tools`, `tool_choice` and `parallel_tool_calls` of a chat.
struct ToolUse {
  enum class Choice { kNone, kAuto, kRequired };
  Choice choice = Choice::kNone;
  bool named = false;               ///< tool_choice names one function; `tools` is that one
  bool parallel = true;             ///< more than one call in an answer
  std::vector<Tool> tools;          ///< that may be called
  nlohmann::ordered_json declared;  ///< as the template gets them; null: none
};

/// Throws ApiError that names the parameter.
ToolUse read_tools(const nlohmann::ordered_json& body);

}  // namespace stepdown::server
