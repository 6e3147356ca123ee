#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/client.h"

namespace stepdown::kube {

/// Writes events.k8s.io/v1 Events about objects, as `kubectl describe` shows them. The same event again
/// within six minutes raises the series of the first instead of writing another; its count is written at most
/// every 10 s. Events are a courtesy: failures to write are logged, never thrown. Safe from any thread.
class EventRecorder {
 public:
  using Clock = std::chrono::system_clock;

  /// `controller`: e.g. "stepdown.dev/operator"; `instance`: this process, e.g. the pod's name.
  EventRecorder(
      Client client, std::string controller, std::string instance,
      std::function<Clock::time_point()> now = [] { return Clock::now(); });
  ~EventRecorder();

  /// `action`: what was done or tried ("Promote"); `reason`: why, in PascalCase; `note`: one sentence, cut at
  /// 1 KiB.
  void normal(const nlohmann::json& regarding, std::string_view action, std::string_view reason,
              std::string_view note);
  void warning(const nlohmann::json& regarding, std::string_view action, std::string_view reason,
               std::string_view note);

 private:
  struct State;
  void record(const nlohmann::json& regarding, std::string_view type, std::string_view action,
              std::string_view reason, std::string_view note);

  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
