#include "operator/rollout/children/gateway.h"

#include "operator/rollout/children/common.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr int kPort = 8000;

json role(const api::QuantizedModel& model, const std::string& name) {
  json out = object("rbac.authorization.k8s.io/v1", "Role", model, name, "gateway");
  out["rules"] = {
      {{"apiGroups", {api::kGroup}}, {"resources", {"quantizedmodels"}}, {"verbs", {"get", "list", "watch"}}},
      {{"apiGroups", {api::kGroup}},
       {"resources", {"quantizedmodels/status"}},
       {"resourceNames", {model.metadata.name}},
       {"verbs", {"get", "patch"}}},
      {{"apiGroups", {"discovery.k8s.io"}},
       {"resources", {"endpointslices"}},
       {"verbs", {"get", "list", "watch"}}}};
  return out;
}

json role_binding(const api::QuantizedModel& model, const std::string& name) {
  json out = object("rbac.authorization.k8s.io/v1", "RoleBinding", model, name, "gateway");
  out["roleRef"] = {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", name}};
  out["subjects"] = {{{"kind", "ServiceAccount"}, {"name", name}, {"namespace", model.metadata.ns}}};
  return out;
}

json probe(const char* path, int period, int failures) {
  return {{"httpGet", {{"path", path}, {"port", "http"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 2},
          {"failureThreshold", failures}};
}

json deployment(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                const json& selector) {
  Mounts mounts(model);
  mounts.add_scratch("state", "/state");
  json container = {
      {"name", "gateway"},
      {"image", settings.gateway_image},
      {"args",
       {"--namespace", model.metadata.ns, "--model", model.metadata.name, "--host", "$(POD_IP)", "--port",
        std::to_string(kPort), "--state-dir", "/state"}},
      {"env", {{{"name", "POD_IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}}},
      {"ports", {{{"name", "http"}, {"containerPort", kPort}}}},
      {"startupProbe", probe("/healthz", 1, 60)},
      {"readinessProbe", probe("/readyz", 2, 2)},
      {"livenessProbe", probe("/healthz", 10, 3)},
      {"lifecycle", lingering()},
      {"resources", {{"requests", {{"memory", "64Mi"}}}}},
      {"securityContext", container_security()},
      {"volumeMounts", mounts.mounts}};
  json out = object("apps/v1", "Deployment", model, name, "gateway");
  json pod_spec = {{"serviceAccountName", name},
                   {"securityContext", pod_security()},
                   {"terminationGracePeriodSeconds", kLingerSeconds + kDrainSeconds},
                   {"topologySpreadConstraints",
                    {{{"maxSkew", 1},
                      {"topologyKey", "kubernetes.io/hostname"},
                      {"whenUnsatisfiable", "ScheduleAnyway"},
                      {"labelSelector", {{"matchLabels", selector}}}}}},
                   {"volumes", mounts.volumes},
                   {"containers", {std::move(container)}}};
  add_pull_secrets(pod_spec, settings);
  out["spec"] = {
      {"replicas", settings.gateway_replicas},
      {"revisionHistoryLimit", 2},
      {"strategy", {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxUnavailable", 0}, {"maxSurge", 1}}}}},
      {"selector", {{"matchLabels", selector}}},
      {"template", {{"metadata", {{"labels", labels(model, "gateway")}}}, {"spec", std::move(pod_spec)}}}};
  return out;
}

}  // namespace

std::vector<json> gateway(const api::QuantizedModel& model, const Settings& settings) {
  const std::string name = names::gateway(model.metadata.name);
  const json selector = {{"app.kubernetes.io/name", "gateway"},
                         {"app.kubernetes.io/instance", model.metadata.name}};
  json service = object("v1", "Service", model, model.metadata.name, "gateway");
  service["spec"] = {
      {"selector", selector},
      {"ports", {{{"name", "http"}, {"port", kPort}, {"targetPort", "http"}, {"protocol", "TCP"}}}}};
  return {stamped(object("v1", "ServiceAccount", model, name, "gateway")),
          stamped(role(model, name)),
          stamped(role_binding(model, name)),
          stamped(deployment(model, settings, name, selector)),
          stamped(std::move(service)),
          disruption_budget(model, name, "gateway")};
}

}  // namespace stepdown::rollout::children
