#pragma once

#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::cli {

/// The record of a model for an auditor, as Markdown: what was made from what and how, what it scored against
/// FP16 with 95 % intervals, why the others lost, which layers keep an FP16 cache, what was rolled back, and
/// how to make the artifact again. `revisions`: those of the model, the stable one first.
std::string audit_report(const api::QuantizedModel& model, const std::vector<api::QuantRevision>& revisions);

}  // namespace stepdown::cli
