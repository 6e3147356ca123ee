#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "engine/server/tool_format.h"

namespace stepdown::server {

/// The schema of one call as a JSON object, {"name", "arguments"}, of any of the tools; or of a list of them.
enum class CallShape { kCall, kList };
nlohmann::ordered_json call_schema(const ToolFormat& format, const ToolUse& use, CallShape shape);

/// What a tool's arguments must be, as it stands at `place` of another schema, a JSON pointer with '#'.
nlohmann::ordered_json arguments_schema(const Tool& tool, const std::string& place);

}  // namespace stepdown::server
