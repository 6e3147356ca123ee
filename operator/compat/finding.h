#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stepdown::compat {

enum class Severity {
  kNote,     ///< good practice that is missing
  kWarning,  ///< it will run, and may disappoint
  kError,    ///< it cannot work; nothing is started
};

/// "note", "warning", "error".
std::string_view severity_name(Severity severity);

/// What a rule says about a spec: never shown without the way out.
struct Finding {
  std::string id;  ///< SD###, stable across versions
  Severity severity = Severity::kError;
  std::string path;
  std::string message;
  std::string mend;
};

/// Of a manifest that no rule can look at: what offline validation says of it.
inline constexpr std::string_view kUnreadable = "SD066";

bool has_errors(const std::vector<Finding>& findings);

}  // namespace stepdown::compat
