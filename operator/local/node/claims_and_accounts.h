#pragma once

#include "operator/kube/informer.h"
#include "operator/local/node/control_loop.h"
#include "operator/local/node/node_context.h"

namespace stepdown::local {

/// Binds each PersistentVolumeClaim at once to a PersistentVolume of its own: a folder of the node (hostPath)
/// that lives as long as the claim.
class ClaimController {
 public:
  ClaimController(const NodeContext& context, kube::Informer& claims);
  ControlLoop& loop() { return loop_; }

 private:
  std::optional<std::chrono::milliseconds> reconcile(const kube::ObjectKey& key);
  void write_phase(const kube::GroupVersionResource& gvr, const kube::ObjectKey& key,
                   const nlohmann::json& status) const;

  const NodeContext& context_;
  kube::Informer& claims_;
  ControlLoop loop_;
};

/// Gives each namespace its ServiceAccount `default`.
class AccountController {
 public:
  AccountController(const NodeContext& context, kube::Informer& namespaces, kube::Informer& accounts);
  ControlLoop& loop() { return loop_; }

 private:
  std::optional<std::chrono::milliseconds> reconcile(const kube::ObjectKey& key);

  const NodeContext& context_;
  kube::Informer& namespaces_;
  kube::Informer& accounts_;
  ControlLoop loop_;
};

}  // namespace stepdown::local
