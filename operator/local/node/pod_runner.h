#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/kube/events.h"
#include "operator/kube/informer.h"
#include "operator/local/node/container.h"
#include "operator/local/node/node_context.h"
#include "operator/local/node/pod_plan.h"
#include "operator/local/node/pod_status.h"
#include "operator/local/node/pod_volumes.h"

namespace stepdown::local {

/// How long a container that ended waits before its next attempt: none, then 1 s doubling to a minute; a run
/// of ten minutes clears the count. A cluster starts at 10 s; one machine has nobody to spare.
std::chrono::seconds restart_delay(int attempt, std::chrono::seconds ran_for);
bool should_restart(RestartPolicy policy, int exit_code);

/// Follows one pod from its spec to its end on a thread of its own: starts containers, probes them, restarts
/// them, reports their status, stops them when the pod is deleted. Its destructor leaves the containers
/// running.
class PodRunner {
 public:
  /// `events`: what a status has no place for, as a kubelet tells it.
  PodRunner(const NodeContext& context, kube::EventRecorder& events, kube::ObjectPtr pod, std::string ip);
  ~PodRunner();
  PodRunner(const PodRunner&) = delete;
  PodRunner& operator=(const PodRunner&) = delete;

  /// The pod as the API shows it now; null: it is gone.
  void update(kube::ObjectPtr pod);
  /// The pod has ended and nothing is left to do.
  bool finished() const;
  const std::string& ip() const { return ip_; }

 private:
  /// A container at work: its plan, its folder and what the probes say.
  struct Tracked {
    const ContainerPlan* plan;
    Container container;
    std::optional<ProbeCounter> startup, liveness, readiness;
    std::optional<std::chrono::steady_clock::time_point> seen_running;
    std::optional<std::chrono::steady_clock::time_point> kill_at;
    int attempt = -1;
    ContainerView view;
  };

  void run(const std::stop_token& stop);
  bool step();
  void begin();
  void advance();
  void advance_container(Tracked& tracked);
  void start_container(Tracked& tracked);
  void probe_container(Tracked& tracked);
  void reset_probes(Tracked& tracked, bool started, bool ready);
  bool terminate();
  void wait_all(const std::string& reason);
  void publish();
  void clean_up();
  kube::ObjectPtr current() const;

  const NodeContext& context_;
  kube::EventRecorder& events_;
  const kube::ObjectKey key_;
  const std::string uid_;
  const std::string ip_;
  const std::filesystem::path folder_;
  const std::string started_at_;
  PodPlan plan_;
  std::optional<PodVolumes> volumes_;
  std::deque<Tracked> init_;
  std::deque<Tracked> main_;
  bool planned_ = false;
  PodView view_;
  nlohmann::json published_;
  bool gone_ = false;  ///< from the API
  std::optional<std::chrono::steady_clock::time_point> stop_deadline_;
  std::optional<std::chrono::steady_clock::time_point> next_try_;

  mutable std::mutex mutex_;
  std::condition_variable_any woken_;
  kube::ObjectPtr pod_;
  bool updated_ = false;
  bool finished_ = false;
  std::jthread thread_;
};

}  // namespace stepdown::local
