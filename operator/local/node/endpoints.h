#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/informer.h"
#include "operator/local/node/control_loop.h"
#include "operator/local/node/node_context.h"

namespace stepdown::local {

/// The EndpointSlice of a Service: one entry for each pod it selects that has an address; ready, serving and
/// terminating as its conditions tell. It bears the Service's labels and is owned by it. Pure.
nlohmann::json endpoint_slice(const nlohmann::json& service, const std::vector<kube::ObjectPtr>& pods,
                              const std::string& node);

/// Keeps the EndpointSlice of each Service with a selector true, headless ones included.
class EndpointsController {
 public:
  EndpointsController(const NodeContext& context, kube::Informer& services, kube::Informer& pods);
  ControlLoop& loop() { return loop_; }

 private:
  std::optional<std::chrono::milliseconds> reconcile(const kube::ObjectKey& key);

  const NodeContext& context_;
  kube::Informer& services_;
  kube::Informer& pods_;
  ControlLoop loop_;
};

}  // namespace stepdown::local
