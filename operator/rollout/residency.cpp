#include "operator/rollout/residency.h"

#include "operator/compat/fallback.h"
#include "operator/rollout/command.h"

namespace stepdown::rollout {

Demand demand(const api::QuantizedModel& model, api::Time now) {
  if (!compat::fp16_on_demand(model.spec)) return {};
  const auto command = pending_command(model);
  if (command && command->verb == "rollback") return {};
  const auto& verdict = model.status.verdict;
  const auto wanted = verdict ? api::parse_time(verdict->fp16_wanted_at) : std::nullopt;
  if (!wanted || now - *wanted >= kStaysLoaded) return {.fp16 = false};
  return {.fp16 = true, .look_again = *wanted + kStaysLoaded - now};
}

}  // namespace stepdown::rollout
