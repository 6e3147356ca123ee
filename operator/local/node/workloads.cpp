#include "operator/local/node/workloads.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/kube/resources.h"
#include "operator/local/node/deployment_decision.h"
#include "operator/local/node/job_decision.h"

namespace stepdown::local {

using kube::ObjectKey;
using kube::ObjectPtr;
using nlohmann::json;

namespace {

std::vector<ObjectPtr> pods_of(const kube::Informer& pods, const json& owner) {
  return pods.find(
      [uid = kube::uid_of(owner)](const json& pod) { return kube::controller_uid_of(pod) == uid; });
}

void create_pods(const NodeContext& context, const json& owner, const std::vector<std::string>& names,
                 const json& labels) {
  for (const std::string& name : names) {
    const json pod =
        pod_from_template(owner, kube::value_at(owner, "/spec/template"), name, labels, context.node_name);
    const auto created = context.client.create(kube::resources::kPods, pod);
    // It exists: the cache is behind, and its own news will bring us here again.
    if (!created && !created.error().already_exists()) throw kube::ApiException(created.error());
  }
}

void remove_pods(const NodeContext& context, const std::string& ns, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto removed = context.client.remove(kube::resources::kPods, {ns, name});
    if (!removed && !removed.error().not_found()) throw kube::ApiException(removed.error());
  }
}

/// PUT rather than a patch: what was decided on an outdated object is refused as a conflict and decided anew.
void write_status(const NodeContext& context, const kube::GroupVersionResource& gvr, const json& object,
                  const json& status) {
  if (kube::value_at(object, "/status") == status) return;
  json updated = object;
  updated["status"] = status;
  const auto written = context.client.replace(gvr, updated, "status");
  if (written || written.error().not_found() || written.error().conflict()) return;
  throw kube::ApiException(written.error());
}

}  // namespace

JobController::JobController(const NodeContext& context, kube::Informer& jobs, kube::Informer& pods)
    : context_(context),
      jobs_(jobs),
      pods_(pods),
      loop_("job controller", [this](const ObjectKey& key) { return reconcile(key); }) {
  loop_.watch(jobs);
  loop_.watch_owned(pods, "Job");
}

std::optional<std::chrono::milliseconds> JobController::reconcile(const ObjectKey& key) {
  const ObjectPtr job = jobs_.get(key);
  if (!job || kube::is_being_deleted(*job)) return std::nullopt;
  const JobDecision decision = decide_job(*job, pods_of(pods_, *job), WallClock::now());
  if (decision.remove_job) {
    const auto removed = context_.client.remove(kube::resources::kJobs, key);
    if (!removed && !removed.error().not_found()) throw kube::ApiException(removed.error());
    return std::nullopt;
  }
  remove_pods(context_, key.ns, decision.remove);
  create_pods(context_, *job, decision.create,
              json{{"job-name", key.name}, {"batch.kubernetes.io/job-name", key.name}});
  write_status(context_, kube::resources::kJobs, *job, decision.status);
  return decision.look_again;
}

DeploymentController::DeploymentController(const NodeContext& context, kube::Informer& deployments,
                                           kube::Informer& pods)
    : context_(context),
      deployments_(deployments),
      pods_(pods),
      loop_("deployment controller", [this](const ObjectKey& key) { return reconcile(key); }) {
  loop_.watch(deployments);
  loop_.watch_owned(pods, "Deployment");
}

std::optional<std::chrono::milliseconds> DeploymentController::reconcile(const ObjectKey& key) {
  const ObjectPtr deployment = deployments_.get(key);
  if (!deployment) return std::nullopt;
  const DeploymentDecision decision =
      decide_deployment(*deployment, pods_of(pods_, *deployment), WallClock::now());
  remove_pods(context_, key.ns, decision.remove);
  create_pods(context_, *deployment, decision.create, json{{"pod-template-hash", decision.template_hash}});
  write_status(context_, kube::resources::kDeployments, *deployment, decision.status);
  return decision.look_again;
}

}  // namespace stepdown::local
