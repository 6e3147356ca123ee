#pragma once

#include "operator/kube/informer.h"
#include "operator/local/node/control_loop.h"
#include "operator/local/node/node_context.h"

namespace stepdown::local {

/// The controllers of Jobs and Deployments: gather a workload and its pods, decide (job_decision.h,
/// deployment_decision.h), write. The informers must outlive them and not be started yet.
class JobController {
 public:
  JobController(const NodeContext& context, kube::Informer& jobs, kube::Informer& pods);
  ControlLoop& loop() { return loop_; }

 private:
  std::optional<std::chrono::milliseconds> reconcile(const kube::ObjectKey& key);

  const NodeContext& context_;
  kube::Informer& jobs_;
  kube::Informer& pods_;
  ControlLoop loop_;
};

class DeploymentController {
 public:
  DeploymentController(const NodeContext& context, kube::Informer& deployments, kube::Informer& pods);
  ControlLoop& loop() { return loop_; }

 private:
  std::optional<std::chrono::milliseconds> reconcile(const kube::ObjectKey& key);

  const NodeContext& context_;
  kube::Informer& deployments_;
  kube::Informer& pods_;
  ControlLoop loop_;
};

}  // namespace stepdown::local
