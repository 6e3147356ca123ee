#pragma once

#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::cli {

/// A table of what `b` has otherwise than `a`, all scores, and a last line that names what is the same. Pure.
std::vector<std::string> revision_diff(const api::QuantRevision& a, const api::QuantRevision& b);

}  // namespace stepdown::cli
