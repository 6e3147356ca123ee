#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::log {

enum class Format { kText, kJson };
enum class Level { kDebug, kInfo, kWarn, kError };

/// Process-wide, set once by the command line before threads start.
void configure(Format format, Level least);

/// One line on standard error; `fields` is a JSON object of details. Safe from any thread.
void write(Level level, std::string_view message, const nlohmann::json& fields);
void info(std::string_view message, const nlohmann::json& fields);
void warn(std::string_view message, const nlohmann::json& fields);
void error(std::string_view message, const nlohmann::json& fields);
void info(std::string_view message);
void warn(std::string_view message);
void error(std::string_view message);

}  // namespace stepdown::log
