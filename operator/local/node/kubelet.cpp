#include "operator/local/node/kubelet.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/log.h"
#include "operator/kube/resources.h"

namespace stepdown::local {

namespace fs = std::filesystem;
using kube::ObjectKey;
using kube::ObjectPtr;
using kube::text_at;
using nlohmann::json;

namespace {

bool is_over(const json& pod) {
  const std::string phase = text_at(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed";
}

std::string folder_name(const ObjectKey& key) {
  return key.ns + "_" + key.name;
}

/// pod.json of a pod's folder, null when there is none.
json pod_record(const fs::path& folder) {
  return fs::exists(folder / "pod.json") ? json::parse(read_file(folder / "pod.json"), nullptr, false)
                                         : json();
}

std::vector<Container> containers_in(const fs::path& folder) {
  std::vector<Container> containers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory() && entry.path().filename() != "volumes") containers.emplace_back(entry.path());
  }
  return containers;
}

}  // namespace

std::vector<std::string> running_pods(const fs::path& pods) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& pod : fs::directory_iterator(pods, error)) {
    const auto containers = containers_in(pod.path());
    if (std::any_of(containers.begin(), containers.end(), [](const Container& container) {
          return container.state().kind == ContainerState::Kind::kRunning;
        })) {
      names.push_back(pod.path().filename());
    }
  }
  return names;
}

void stop_all_containers(const fs::path& pods, std::chrono::seconds grace) {
  std::vector<Container> running;
  std::error_code error;
  for (const auto& pod : fs::directory_iterator(pods, error)) {
    for (const Container& container : containers_in(pod.path())) {
      if (container.state().kind == ContainerState::Kind::kRunning) running.push_back(container);
    }
  }
  for (const Container& container : running) container.signal(SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + grace;
  for (bool killed = false; !running.empty();) {
    std::erase_if(running,
                  [](const Container& c) { return c.state().kind != ContainerState::Kind::kRunning; });
    if (!killed && std::chrono::steady_clock::now() >= deadline) {
      for (const Container& container : running) container.signal(SIGKILL);
      killed = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Kubelet::Kubelet(const NodeContext& context, kube::Informer& pods)
    : context_(context), pods_(pods), events_(context.client, "kubelet", context.node_name) {
  pods_.on_change([this](const kube::Informer::Change& change) { sync(change.key, change.after); });
}

Kubelet::~Kubelet() {
  sweeper_.request_stop();
  if (sweeper_.joinable()) sweeper_.join();
}

void Kubelet::start() {
  stop_strays();
  sweeper_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any tick;
    std::unique_lock wait(mutex);
    while (!stop.stop_requested()) {
      tick.wait_for(wait, stop, std::chrono::milliseconds(200), [] { return false; });
      const std::lock_guard lock(mutex_);
      for (auto it = runners_.begin(); it != runners_.end();) {
        if (!it->second->finished()) {
          ++it;
          continue;
        }
        const ObjectKey key = it->first;
        used_ips_.erase(it->second->ip());
        it = runners_.erase(it);
        // A successor of the same name may have come while the old one ended.
        if (const ObjectPtr pod = pods_.get(key)) {
          run_pod(key, pod);
        } else {
          forget(key);
        }
      }
    }
  });
}

void Kubelet::sync(const ObjectKey& key, const ObjectPtr& pod) {
  const std::lock_guard lock(mutex_);
  const auto runner = runners_.find(key);
  if (runner != runners_.end()) {
    runner->second->update(pod);
  } else if (pod) {
    run_pod(key, pod);
  } else {
    forget(key);
  }
}

/// Of a pod that ended long ago: its logs go with its object, as a kubelet's do.
void Kubelet::forget(const ObjectKey& key) {
  std::error_code error;
  fs::remove_all(context_.pods() / folder_name(key), error);
}

void Kubelet::run_pod(const ObjectKey& key, const ObjectPtr& pod) {
  const std::string node = text_at(*pod, "/spec/nodeName");
  if (!node.empty() && node != context_.node_name) return;
  if (is_over(*pod) && !kube::is_being_deleted(*pod)) return;
  // What an earlier pod of this name left behind goes first.
  const fs::path folder = context_.pods() / folder_name(key);
  const json record = pod_record(folder);
  if (record.is_object() && text_at(record, "/uid") != kube::uid_of(*pod)) {
    for (const Container& container : containers_in(folder)) container.signal(SIGKILL);
    std::error_code error;
    fs::remove_all(folder, error);
  }
  const std::string ip = allocate_ip(*pod);
  runners_[key] = std::make_unique<PodRunner>(context_, events_, pod, ip);
}

std::string Kubelet::allocate_ip(const json& pod) {
  std::string ip = text_at(pod, "/status/podIP");
  if (ip.empty()) {
    const ObjectKey key = kube::key_of(pod);
    ip = text_at(pod_record(context_.pods() / folder_name(key)), "/ip");
  }
  // Counting on, rather than taking the lowest free one, keeps a stale client from reaching a pod that came
  // after.
  const std::string network = "127." + std::to_string(context_.pod_network) + ".";
  while (ip.empty() || used_ips_.contains(ip)) {
    next_ip_ = next_ip_ % 65'000 + 1;
    ip = network + std::to_string(next_ip_ / 250) + "." + std::to_string(next_ip_ % 250 + 1);
    for (const ObjectPtr& other : pods_.list()) {
      if (text_at(*other, "/status/podIP") == ip) ip.clear();
    }
  }
  used_ips_.insert(ip);
  return ip;
}

/// Containers of pods that were deleted while no agent ran.
void Kubelet::stop_strays() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(context_.pods(), error)) {
    const json record = pod_record(entry.path());
    const ObjectPtr pod = pods_.get({text_at(record, "/namespace"), text_at(record, "/name")});
    if (pod && kube::uid_of(*pod) == text_at(record, "/uid")) continue;
    // By its folder: a runner that has just begun may not have written its record yet.
    const std::lock_guard lock(mutex_);
    const std::string name = entry.path().filename();
    if (std::ranges::any_of(runners_, [&](const auto& each) { return folder_name(each.first) == name; }))
      continue;
    log::info("stopping a pod whose object is gone", {{"folder", entry.path().string()}});
    for (const Container& container : containers_in(entry.path())) container.signal(SIGKILL);
    fs::remove_all(entry.path(), error);
  }
}

}  // namespace stepdown::local
