#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::api {

/// Condition types of QuantizedModel. Ready, Reconciling and Stalled are read as kstatus defines them.
namespace condition {
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kReconciling = "Reconciling";
inline constexpr std::string_view kStalled = "Stalled";
inline constexpr std::string_view kAvailable = "Available";
inline constexpr std::string_view kCompatible = "Compatible";
inline constexpr std::string_view kQuantized = "Quantized";
inline constexpr std::string_view kEvaluated = "Evaluated";
inline constexpr std::string_view kPromoted = "Promoted";
inline constexpr std::string_view kCanaryHealthy = "CanaryHealthy";  ///< written by the gateway alone
}  // namespace condition

/// meta/v1 Condition.
struct Condition {
  std::string type;
  std::string status;  ///< "True", "False" or "Unknown"
  std::string reason;
  std::string message;
  std::string last_transition_time;
  std::int64_t observed_generation = 0;

  bool operator==(const Condition&) const = default;
};

/// The condition of that type; nullptr when there is none.
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);
bool is_true(const std::vector<Condition>& conditions, std::string_view type);
bool is_false(const std::vector<Condition>& conditions, std::string_view type);

/// Adds the condition or replaces the one of its type. `last_transition_time` becomes `now` only when the
/// status differs from before; a given lastTransitionTime is ignored.
void set_condition(std::vector<Condition>& conditions, Condition condition, std::string_view now);

/// What `kubectl wait`, Argo CD and Flux read from conditions and generations.
enum class KStatus { kCurrent, kInProgress, kFailed, kTerminating };
KStatus kstatus(const std::vector<Condition>& conditions, std::int64_t generation,
                std::int64_t observed_generation, bool deleting);

}  // namespace stepdown::api
