#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace stepdown::api {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

/// meta/v1 Time: "2026-01-31T12:34:56Z"; fractions of a second are cut.
std::string format_time(Time time);
/// RFC 3339 in UTC, with or without a fraction; nullopt when it is no such time.
std::optional<Time> parse_time(std::string_view text);

/// A duration as Go and Kubernetes write it: "30s", "1h30m", "250ms"; nullopt when it is none.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "1h30m", "45s".
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace stepdown::api
