#pragma once

#include <string>

namespace stepdown::compat {

/// docs/rules.md: every rule with its reason, an example and the way out.
std::string rules_page();

}  // namespace stepdown::compat
