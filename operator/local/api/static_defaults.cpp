#include "operator/local/api/admission.h"

namespace stepdown::local::api {
namespace {

struct Row {
  const char* schema;
  const char* field;
  const char* value;  // JSON
};

// From the documented defaults of each API type.
constexpr Row kDefaults[] = {
    {"io.k8s.api.apps.v1.DeploymentSpec", "replicas", "1"},
    {"io.k8s.api.apps.v1.DeploymentSpec", "revisionHistoryLimit", "10"},
    {"io.k8s.api.apps.v1.DeploymentSpec", "progressDeadlineSeconds", "600"},
    {"io.k8s.api.apps.v1.DeploymentStrategy", "type", R"("RollingUpdate")"},
    {"io.k8s.api.apps.v1.RollingUpdateDeployment", "maxSurge", R"("25%")"},
    {"io.k8s.api.apps.v1.RollingUpdateDeployment", "maxUnavailable", R"("25%")"},
    {"io.k8s.api.apps.v1.ReplicaSetSpec", "replicas", "1"},
    {"io.k8s.api.batch.v1.JobSpec", "backoffLimit", "6"},
    {"io.k8s.api.batch.v1.JobSpec", "completionMode", R"("NonIndexed")"},
    {"io.k8s.api.batch.v1.JobSpec", "suspend", "false"},
    {"io.k8s.api.batch.v1.JobSpec", "manualSelector", "false"},
    {"io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern", "status", R"("True")"},
    {"io.k8s.api.core.v1.PodSpec", "restartPolicy", R"("Always")"},
    {"io.k8s.api.core.v1.PodSpec", "dnsPolicy", R"("ClusterFirst")"},
    {"io.k8s.api.core.v1.PodSpec", "schedulerName", R"("default-scheduler")"},
    {"io.k8s.api.core.v1.PodSpec", "terminationGracePeriodSeconds", "30"},
    {"io.k8s.api.core.v1.Container", "terminationMessagePath", R"("/dev/termination-log")"},
    {"io.k8s.api.core.v1.Container", "terminationMessagePolicy", R"("File")"},
    {"io.k8s.api.core.v1.Probe", "timeoutSeconds", "1"},
    {"io.k8s.api.core.v1.Probe", "periodSeconds", "10"},
    {"io.k8s.api.core.v1.Probe", "successThreshold", "1"},
    {"io.k8s.api.core.v1.Probe", "failureThreshold", "3"},
    {"io.k8s.api.core.v1.HTTPGetAction", "scheme", R"("HTTP")"},
    {"io.k8s.api.core.v1.HTTPGetAction", "path", R"("/")"},
    {"io.k8s.api.core.v1.ObjectFieldSelector", "apiVersion", R"("v1")"},
    {"io.k8s.api.core.v1.SecretVolumeSource", "defaultMode", "420"},
    {"io.k8s.api.core.v1.ConfigMapVolumeSource", "defaultMode", "420"},
    {"io.k8s.api.core.v1.DownwardAPIVolumeSource", "defaultMode", "420"},
    {"io.k8s.api.core.v1.ProjectedVolumeSource", "defaultMode", "420"},
    {"io.k8s.api.core.v1.HostPathVolumeSource", "type", R"("")"},
    {"io.k8s.api.core.v1.ServiceAccountTokenProjection", "expirationSeconds", "3600"},
    {"io.k8s.api.core.v1.ServiceSpec", "type", R"("ClusterIP")"},
    {"io.k8s.api.core.v1.ServiceSpec", "sessionAffinity", R"("None")"},
    {"io.k8s.api.core.v1.Secret", "type", R"("Opaque")"},
    {"io.k8s.api.core.v1.PersistentVolumeClaimSpec", "volumeMode", R"("Filesystem")"},
    {"io.k8s.api.core.v1.PersistentVolumeSpec", "volumeMode", R"("Filesystem")"},
    {"io.k8s.api.core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy", R"("Retain")"},
};

/// A scalar zero is how OpenAPI tells that Go's field cannot be absent; it is no default that anyone sees.
bool is_zero(const Json& value) {
  return value == "" || (value.is_number() && value == 0) || (value.is_boolean() && !value.get<bool>());
}

void drop_zero_defaults(Json& node) {
  if (!node.is_structured()) return;
  if (node.is_object() && node.contains("default") && is_zero(node["default"])) node.erase("default");
  for (Json& child : node) drop_zero_defaults(child);
}

}  // namespace

void add_static_defaults(Json& schemas) {
  for (auto& [name, schema] : schemas.items()) {
    drop_zero_defaults(schema);
    // Raw JSON in Go: anything goes.
    if (schema.value("type", "") == "object" && !schema.contains("properties") &&
        !schema.contains("additionalProperties")) {
      schema["x-kubernetes-preserve-unknown-fields"] = true;
    }
  }
  for (const Row& row : kDefaults) {
    schemas.at(row.schema).at("properties").at(row.field)["default"] = Json::parse(row.value);
  }
}

}  // namespace stepdown::local::api
