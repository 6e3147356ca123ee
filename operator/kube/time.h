#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::kube {

/// meta/v1 Time: "2026-01-31T12:34:56Z".
std::string format_time(std::chrono::system_clock::time_point time);
/// meta/v1 MicroTime: "2026-01-31T12:34:56.123456Z".
std::string format_micro_time(std::chrono::system_clock::time_point time);
/// RFC 3339, with or without a fraction, "Z" or an offset; nullopt when it is no such time.
std::optional<std::chrono::system_clock::time_point> parse_time(std::string_view text);
/// A field of an object in seconds, within a century: what the system's clock counts reaches further by two.
std::chrono::seconds seconds_at(const nlohmann::json& object, std::string_view pointer,
                                std::int64_t otherwise);

}  // namespace stepdown::kube
