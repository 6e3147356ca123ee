#include "operator/api/condition.h"

#include <algorithm>

namespace stepdown::api {

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  return found == conditions.end() ? nullptr : &*found;
}

bool is_true(const std::vector<Condition>& conditions, std::string_view type) {
  const Condition* found = find_condition(conditions, type);
  return found != nullptr && found->status == "True";
}

bool is_false(const std::vector<Condition>& conditions, std::string_view type) {
  const Condition* found = find_condition(conditions, type);
  return found != nullptr && found->status == "False";
}

void set_condition(std::vector<Condition>& conditions, Condition condition, std::string_view now) {
  const auto found = std::ranges::find(conditions, condition.type, &Condition::type);
  if (found == conditions.end()) {
    condition.last_transition_time = now;
    conditions.push_back(std::move(condition));
    return;
  }
  condition.last_transition_time =
      found->status == condition.status ? found->last_transition_time : std::string(now);
  *found = std::move(condition);
}

KStatus kstatus(const std::vector<Condition>& conditions, std::int64_t generation,
                std::int64_t observed_generation, bool deleting) {
  if (deleting) return KStatus::kTerminating;
  if (observed_generation != generation) return KStatus::kInProgress;
  if (is_true(conditions, condition::kStalled)) return KStatus::kFailed;
  if (is_true(conditions, condition::kReconciling)) return KStatus::kInProgress;
  return is_true(conditions, condition::kReady) ? KStatus::kCurrent : KStatus::kInProgress;
}

}  // namespace stepdown::api
