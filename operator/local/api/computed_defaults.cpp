#include <map>

#include "operator/kube/base64.h"
#include "operator/local/api/admission.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

template <typename Value>
void set_default(Json& object, const char* key, const Value& value) {
  if (!object.contains(key)) object[key] = value;
}

/// "latest" images are always pulled, others only if missing.
std::string pull_policy(const std::string& image) {
  if (image.find('@') != std::string::npos) return "IfNotPresent";
  const std::size_t colon = image.rfind(':');
  const bool tagged = colon != std::string::npos && image.find('/', colon) == std::string::npos;
  return !tagged || image.substr(colon + 1) == "latest" ? "Always" : "IfNotPresent";
}

void complete_pod_spec(Json& spec) {
  set_default(spec, "securityContext", Json::object());
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.contains(list) || !spec[list].is_array()) continue;
    for (Json& container : spec[list]) {
      if (!container.is_object()) continue;
      set_default(container, "imagePullPolicy", pull_policy(text_of(at(container, {"image"}))));
    }
  }
  if (spec.contains("serviceAccountName")) set_default(spec, "serviceAccount", spec["serviceAccountName"]);
  if (spec.contains("volumes") && spec["volumes"].is_array()) {
    for (Json& volume : spec["volumes"]) {
      if (volume.is_object() && volume.size() == 1 && volume.contains("name"))
        volume["emptyDir"] = Json::object();
    }
  }
}

/// Requests that are not given equal the limits; of pods alone, not of the templates that they are made from.
void complete_requests(Json& pod_spec) {
  for (const char* list : {"containers", "initContainers"}) {
    if (!pod_spec.contains(list) || !pod_spec[list].is_array()) continue;
    for (Json& container : pod_spec[list]) {
      const Json limits = at(container, {"resources", "limits"});
      if (!limits.is_object()) continue;
      for (const auto& [name, limit] : limits.items())
        set_default(container["resources"]["requests"], name.c_str(), limit);
    }
  }
}

void complete_pod(Json& pod) {
  set_default(pod["spec"], "enableServiceLinks", true);
  complete_pod_spec(pod["spec"]);
  complete_requests(pod["spec"]);
}

void complete_template(Json& object) {
  if (at(object, {"spec", "template", "spec"}).is_object())
    complete_pod_spec(object["spec"]["template"]["spec"]);
}

void complete_deployment(Json& object) {
  complete_template(object);
  if (at(object, {"spec", "strategy", "type"}) != "RollingUpdate") return;
  Json& rolling = object["spec"]["strategy"]["rollingUpdate"];
  set_default(rolling, "maxSurge", "25%");
  set_default(rolling, "maxUnavailable", "25%");
}

void complete_job(Json& job) {
  complete_template(job);
  Json& spec = job["spec"];
  if (!spec.contains("completions") && !spec.contains("parallelism")) {
    spec["completions"] = 1;
    spec["parallelism"] = 1;
  }
  set_default(spec, "parallelism", 1);
  set_default(spec, "podReplacementPolicy",
              spec.contains("podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
}

void complete_service(Json& service) {
  Json& spec = service["spec"];
  if (spec.contains("ports") && spec["ports"].is_array()) {
    for (Json& port : spec["ports"]) {
      if (port.is_object() && port.contains("port")) set_default(port, "targetPort", port["port"]);
    }
  }
  if (at(spec, {"type"}) != "ExternalName") set_default(spec, "internalTrafficPolicy", "Cluster");
}

void complete_secret(Json& secret) {
  const Json texts = at(secret, {"stringData"});
  if (!texts.is_object()) return;
  for (const auto& [key, value] : texts.items()) {
    if (value.is_string()) secret["data"][key] = kube::base64_encode(value.get<std::string>());
  }
  secret.erase("stringData");
}

void complete_namespace(Json& space) {
  if (const std::string name = meta(space, "name"); !name.empty())
    space["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

void complete_binding(Json& binding) {
  constexpr const char* kGroup = "rbac.authorization.k8s.io";
  if (binding.contains("roleRef") && binding["roleRef"].is_object() &&
      text_of(at(binding, {"roleRef", "apiGroup"})).empty()) {
    binding["roleRef"]["apiGroup"] = kGroup;
  }
  if (!binding.contains("subjects") || !binding["subjects"].is_array()) return;
  for (Json& subject : binding["subjects"]) {
    if (subject.is_object() && at(subject, {"kind"}) != "ServiceAccount")
      set_default(subject, "apiGroup", kGroup);
  }
}

using Complete = void (*)(Json&);
const std::map<std::string, Complete, std::less<>> kComplete = {
    {"pods", complete_pod},
    {"deployments.apps", complete_deployment},
    {"replicasets.apps", complete_template},
    {"jobs.batch", complete_job},
    {"services", complete_service},
    {"secrets", complete_secret},
    {"namespaces", complete_namespace},
    {"rolebindings.rbac.authorization.k8s.io", complete_binding},
    {"clusterrolebindings.rbac.authorization.k8s.io", complete_binding},
};

}  // namespace

void complete_defaults(Json& object, const Resource& resource) {
  const auto it = kComplete.find(resource.storage);
  if (it != kComplete.end()) it->second(object);
}

}  // namespace stepdown::local::api
