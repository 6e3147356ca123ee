#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "operator/api/kinds.h"
#include "operator/cli/model_target.h"

namespace stepdown::cli {

/// The candidate asked for; without one the one that was chosen, else the first that was measured. Throws
/// InputError naming those that were.
const api::CandidateStatus& find_row(const api::QuantizedModel& model, const std::string& asked);

/// The text at `uri` (pvc://claim/reports/…), printed by a short-lived pod beside the row's evaluate Job.
std::string read_report(const Connection& connection, const nlohmann::json& model,
                        const api::CandidateStatus& row, const std::string& uri, std::chrono::seconds limit);

}  // namespace stepdown::cli
