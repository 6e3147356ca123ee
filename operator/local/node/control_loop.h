#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "operator/kube/informer.h"
#include "operator/kube/work_queue.h"

namespace stepdown::local {

/// One level-triggered controller: a work queue and a thread that reconciles one key after the other. A
/// reconcile that throws is tried again with backoff; one that returns a time is called again after it.
class ControlLoop {
 public:
  using Reconcile = std::function<std::optional<std::chrono::milliseconds>(const kube::ObjectKey&)>;

  ControlLoop(std::string name, Reconcile reconcile);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  kube::WorkQueue& queue() { return queue_; }
  /// Adds the key that `key_of_change` names (when not empty) on each change of the informer's objects.
  void watch(kube::Informer& informer, std::function<kube::ObjectKey(const nlohmann::json&)> key_of_object);
  /// The object itself.
  void watch(kube::Informer& informer);
  /// The controller of kind `kind` that owns the object.
  void watch_owned(kube::Informer& informer, std::string kind);

  void start();
  void stop();

 private:
  void work(const std::stop_token& stop);

  std::string name_;
  Reconcile reconcile_;
  kube::WorkQueue queue_;
  std::jthread thread_;
};

}  // namespace stepdown::local
