#pragma once

#include <vector>

#include "operator/cli/documents.h"
#include "operator/cli/located.h"

namespace stepdown::cli {

/// What the rules find in all models, each by the other documents and by the headers of a source that lies on
/// this machine. Such a source that is no model is a finding.
std::vector<Located> judge(const Documents& documents);

}  // namespace stepdown::cli
