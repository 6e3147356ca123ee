#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "engine/server/tool_format.h"

namespace stepdown::server {

/// The schema of one call as a JSON object, {"name", "arguments"}, of any of the tools; or of a list of them.
enum class CallShape { kCall, kList };
nlohmann::ordered_json call_schema(const ToolFormat& format, const ToolUse& use, CallShape shape);

/// What the arguments of tools that are not strict are held to.
enum class Loosely { kAnyObject, kWhatCanBeHeld };
/// The tools as an answer is held to them: the schema of one that is not strict is any object's where
/// `loosely` says so. Throws InputError that names the strict tool whose schema is not supported.
ToolUse held(ToolUse use, Loosely loosely);

/// What a tool's arguments must be, as it stands at `place` of another schema, a JSON pointer with '#'.
nlohmann::ordered_json arguments_schema(const Tool& tool, const std::string& place);

}  // namespace stepdown::server
