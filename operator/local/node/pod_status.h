#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/local/node/container.h"
#include "operator/local/node/pod_plan.h"

namespace stepdown::local {

/// What the node knows of one container.
struct ContainerView {
  std::string name;
  std::string image;
  ContainerState state;
  ContainerState previous;
  bool started = false;
  bool ready = false;
  std::string waiting_reason;  ///< while it does not run and will: "ContainerCreating", "CrashLoopBackOff", …
  std::string waiting_message;
};

struct PodView {
  std::string ip;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  std::vector<ContainerView> init_containers;
  std::vector<ContainerView> containers;
  bool terminating = false;
};

enum class PodPhase { kPending, kRunning, kSucceeded, kFailed };
PodPhase phase_of(const PodView& view);

/// The pod's status as a kubelet writes it. Times of conditions that did not change stay as in
/// `previous_status`; `now` is RFC 3339. Pure.
nlohmann::json pod_status(const PodView& view, const nlohmann::json& previous_status,
                          const std::string& started_at, const std::string& now);

}  // namespace stepdown::local
