#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::cli {

/// A pod that prints the report at `uri` (pvc://claim/reports/…) to its log: the evaluate Job's own pod with
/// other arguments and the artifacts volume alone, so that it runs wherever that one did. It belongs to the
/// QuantizedModel. Pure. Throws Error when the Job has no such pod.
nlohmann::json report_pod(const nlohmann::json& model, const nlohmann::json& job, const std::string& uri);

}  // namespace stepdown::cli
