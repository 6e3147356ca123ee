#pragma once

#include <vector>

#include "operator/cli/documents.h"
#include "operator/cli/validate_report.h"

namespace stepdown::cli {

/// What the rules find in all models, each by the other documents and by the headers of a source that lies on
/// this machine. Throws InputError where such a source is no model.
std::vector<Located> judge(const Documents& documents);

}  // namespace stepdown::cli
