#pragma once

#include <string_view>

namespace stepdown::compat {

/// -1, 0 or 1. Numbers between anything that is no digit are compared one by one: "v0.10.1" > "0.9",
/// "b8643" > "b6000". Absent numbers count as 0.
int compare_versions(std::string_view left, std::string_view right);

/// `range`: comparisons that all must hold, ">=0.6 <0.9", "=1.2.0"; empty holds always, and nothing holds for
/// a comparison that cannot be read.
bool version_within(std::string_view version, std::string_view range);

}  // namespace stepdown::compat
