#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/cli/located.h"

namespace stepdown::cli {

/// "text", "json", "sarif" (2.1.0) or "github" (workflow commands). Ends in a newline, apart from nothing
/// found.
std::string print_findings(const std::vector<Located>& findings, std::string_view format);

}  // namespace stepdown::cli
