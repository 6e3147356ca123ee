#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::compat {

/// The types of spec.evaluation.suites, in their order; "" of one that names none.
std::vector<std::string> suite_types(const api::EvaluationSpec& evaluation);
/// How many needles a text of each suite of type retrieval has: of one it measures retrieval, of more
/// multiKeyRetrieval.
std::vector<std::int64_t> retrieval_keys(const api::EvaluationSpec& evaluation);
bool has_suite(const api::EvaluationSpec& evaluation, std::string_view type);

}  // namespace stepdown::compat
