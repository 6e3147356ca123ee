#pragma once

#include <string>

namespace stepdown::local::api {

/// "2026-01-31T10:20:30Z", `ahead` seconds from now.
std::string now_rfc3339(long long ahead = 0);
std::string random_uid();     ///< a version 4 UUID
std::string random_suffix();  ///< five characters for generateName
/// Seconds since the epoch; 0 when `text` is no RFC 3339 time.
long long parse_rfc3339(const std::string& text);
/// "5s", "3m12s", "4h", "12d", "2y10d" as kubectl prints ages.
std::string human_duration(long long seconds);

}  // namespace stepdown::local::api
