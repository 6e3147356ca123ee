#pragma once

#include <cstdint>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/verdict/grid.h"

namespace stepdown::gateway {

/// What was seen of one quantized revision and its FP16 control. All of it adds across gateways, the step's
/// answers of those at the same epoch.
struct Evidence {
  LogVector arm;
  LogVector ceiling;
  LogVector shadow;
  LogVector latency;
  std::uint64_t candidate_answers = 0;
  std::uint64_t control_answers = 0;
  std::uint64_t candidate_errors = 0;
  std::uint64_t control_errors = 0;
  std::uint64_t failed_where_fp16_passed = 0;
  std::uint64_t shadow_pairs = 0;
  std::uint64_t slow_candidate = 0;  ///< slow answers that were evidence
  std::uint64_t slow_control = 0;
  double disagreement = 0;      ///< sum over the pairs
  double candidate_p99_ms = 0;  ///< of the gateway that saw the slowest; 0: too few answers
  double control_p99_ms = 0;

  /// The candidate's answers since this epoch of the rollout began: what a step may be left on.
  std::uint64_t epoch = 0;
  std::uint64_t step_answers = 0;

  void add(const Evidence& other);
};

nlohmann::json to_json(const Evidence& evidence);
/// Empty when the value is not the evidence of a gateway: peers may run another version.
std::optional<Evidence> evidence_from_json(const nlohmann::json& value);

}  // namespace stepdown::gateway
