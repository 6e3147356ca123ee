#include "operator/local/node/pod_status.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"

namespace stepdown::local {

using Kind = ContainerState::Kind;
using nlohmann::json;

namespace {

constexpr std::array<const char*, 4> kPhases = {"Pending", "Running", "Succeeded", "Failed"};

json terminated(const ContainerState& state) {
  json result = {{"exitCode", state.exit_code}, {"reason", state.reason}};
  if (state.signal != 0) result["signal"] = state.signal;
  if (!state.message.empty()) result["message"] = state.message;
  if (!state.started_at.empty()) result["startedAt"] = state.started_at;
  if (!state.finished_at.empty()) result["finishedAt"] = state.finished_at;
  return {{"terminated", result}};
}

json state_of(const ContainerView& view) {
  if (!view.waiting_reason.empty()) {
    json waiting = {{"reason", view.waiting_reason}};
    if (!view.waiting_message.empty()) waiting["message"] = view.waiting_message;
    return {{"waiting", waiting}};
  }
  if (view.state.kind == Kind::kRunning) {
    json running = json::object();
    if (!view.state.started_at.empty()) running["startedAt"] = view.state.started_at;
    return {{"running", running}};
  }
  if (view.state.kind == Kind::kExited) return terminated(view.state);
  return {{"waiting", {{"reason", "ContainerCreating"}}}};
}

json container_statuses(const std::vector<ContainerView>& views) {
  json statuses = json::array();
  for (const ContainerView& view : views) {
    const bool waits_after_exit = !view.waiting_reason.empty() && view.state.kind == Kind::kExited;
    const ContainerState& last = waits_after_exit ? view.state : view.previous;
    statuses.push_back({{"name", view.name},
                        {"image", view.image},
                        {"imageID", view.image},
                        {"ready", view.ready},
                        {"started", view.started},
                        {"restartCount", std::max(0, view.state.attempt)},
                        {"state", state_of(view)},
                        {"lastState", last.kind == Kind::kExited ? terminated(last) : json::object()}});
  }
  return statuses;
}

bool exited_well(const ContainerView& view) {
  return view.state.kind == Kind::kExited && view.waiting_reason.empty() && view.state.exit_code == 0;
}

bool ended(const ContainerView& view) {
  return view.state.kind == Kind::kExited && view.waiting_reason.empty();
}

json condition(const char* type, bool holds, const char* reason, const std::string& message,
               const json& previous, const std::string& now) {
  json result = {{"type", type}, {"status", holds ? "True" : "False"}, {"lastTransitionTime", now}};
  if (!holds && reason != nullptr) result["reason"] = reason;
  if (!holds && !message.empty()) result["message"] = message;
  for (const json& old : kube::value_at(previous, "/conditions")) {
    if (kube::text_at(old, "/type") == type &&
        kube::text_at(old, "/status") == kube::text_at(result, "/status")) {
      const std::string since = kube::text_at(old, "/lastTransitionTime");
      if (!since.empty()) result["lastTransitionTime"] = since;
    }
  }
  return result;
}

std::string unready_names(const std::vector<ContainerView>& views) {
  std::string names;
  for (const ContainerView& view : views) {
    if (!view.ready) names += (names.empty() ? "" : " ") + view.name;
  }
  return "containers with unready status: [" + names + "]";
}

}  // namespace

PodPhase phase_of(const PodView& view) {
  const bool init_failed = std::any_of(view.init_containers.begin(), view.init_containers.end(),
                                       [&](const auto& c) { return ended(c) && c.state.exit_code != 0; });
  if (init_failed && view.restart_policy == RestartPolicy::kNever) return PodPhase::kFailed;
  if (!std::all_of(view.init_containers.begin(), view.init_containers.end(), exited_well))
    return PodPhase::kPending;
  const bool all_ended = std::all_of(view.containers.begin(), view.containers.end(), ended);
  if (all_ended && (view.terminating || view.restart_policy != RestartPolicy::kAlways)) {
    return std::all_of(view.containers.begin(), view.containers.end(), exited_well) ? PodPhase::kSucceeded
                                                                                    : PodPhase::kFailed;
  }
  const bool any_began = std::any_of(view.containers.begin(), view.containers.end(),
                                     [](const auto& c) { return c.state.kind != Kind::kNone; });
  return any_began ? PodPhase::kRunning : PodPhase::kPending;
}

json pod_status(const PodView& view, const json& previous_status, const std::string& started_at,
                const std::string& now) {
  const PodPhase phase = phase_of(view);
  const bool over = phase == PodPhase::kSucceeded || phase == PodPhase::kFailed;
  const bool initialized = std::all_of(view.init_containers.begin(), view.init_containers.end(), exited_well);
  const bool ready =
      !over && !view.terminating && initialized &&
      std::all_of(view.containers.begin(), view.containers.end(), [](const auto& c) { return c.ready; });
  const char* const reason = phase == PodPhase::kSucceeded ? "PodCompleted"
                             : phase == PodPhase::kFailed  ? "PodFailed"
                                                           : "ContainersNotReady";
  const std::string message = over ? "" : unready_names(view.containers);
  json status = {
      {"phase", kPhases.at(static_cast<std::size_t>(phase))},
      {"hostIP", "127.0.0.1"},
      {"hostIPs", {{{"ip", "127.0.0.1"}}}},
      {"podIP", view.ip},
      {"podIPs", {{{"ip", view.ip}}}},
      {"startTime", started_at},
      {"containerStatuses", container_statuses(view.containers)},
      {"conditions",
       {condition("PodScheduled", true, nullptr, {}, previous_status, now),
        condition("Initialized", initialized, "ContainersNotInitialized", {}, previous_status, now),
        condition("ContainersReady", ready, reason, message, previous_status, now),
        condition("Ready", ready, reason, message, previous_status, now)}}};
  if (!view.init_containers.empty())
    status["initContainerStatuses"] = container_statuses(view.init_containers);
  return status;
}

}  // namespace stepdown::local
