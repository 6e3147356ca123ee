#pragma once

#include <chrono>
#include <optional>

#include "operator/api/kinds.h"
#include "operator/api/time.h"

/// When an FP16 that is loaded on demand (spec.rollout.fallback.residency) is demanded although nothing is
/// rolled out.
namespace stepdown::rollout {

struct Demand {
  bool fp16 = true;
  std::optional<std::chrono::milliseconds> look_again = {};  ///< it may be unloaded then
};

/// FP16 is needed for so long after the last answer that only it could have given.
constexpr std::chrono::minutes kStaysLoaded{10};

/// By what the gateway tells in status.verdict.fp16WantedAt, and for a rollback that someone commands.
Demand demand(const api::QuantizedModel& model, api::Time now);

}  // namespace stepdown::rollout
