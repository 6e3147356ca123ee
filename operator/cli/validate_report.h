#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/compat/finding.h"

namespace stepdown::cli {

/// A finding, and where its object stands.
struct Located {
  std::string file;
  int line = 1;
  std::string object;  ///< "QuantizedModel/name"
  compat::Finding finding;
};

/// "text", "json", "sarif" (2.1.0) or "github" (workflow commands). Ends in a newline, apart from nothing
/// found.
std::string print_findings(const std::vector<Located>& findings, std::string_view format);

}  // namespace stepdown::cli
