#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "operator/kube/events.h"
#include "operator/kube/informer.h"
#include "operator/local/node/node_context.h"
#include "operator/local/node/pod_runner.h"

namespace stepdown::local {

/// Runs the pods of this node: one PodRunner each. Adopts those that an earlier agent left running and stops
/// those whose objects are gone.
class Kubelet {
 public:
  /// `pods` must outlive it and not be started yet.
  Kubelet(const NodeContext& context, kube::Informer& pods);
  ~Kubelet();

  /// Once the informer has synced.
  void start();

 private:
  void sync(const kube::ObjectKey& key, const kube::ObjectPtr& pod);
  void run_pod(const kube::ObjectKey& key, const kube::ObjectPtr& pod);
  void forget(const kube::ObjectKey& key);
  void stop_strays();
  std::string allocate_ip(const nlohmann::json& pod);

  const NodeContext& context_;
  kube::Informer& pods_;
  kube::EventRecorder events_;
  std::mutex mutex_;
  std::map<kube::ObjectKey, std::unique_ptr<PodRunner>> runners_;
  std::set<std::string> used_ips_;
  unsigned next_ip_ = 1;
  std::jthread sweeper_;
};

/// Folders of pods below `pods`, by name, in which a container runs.
std::vector<std::string> running_pods(const std::filesystem::path& pods);

/// Stops every container whose folder lies under `pods`: SIGTERM, and SIGKILL after `grace`.
void stop_all_containers(const std::filesystem::path& pods, std::chrono::seconds grace);

}  // namespace stepdown::local
