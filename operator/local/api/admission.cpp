#include "operator/local/api/admission.h"

#include <functional>
#include <map>

#include "operator/local/api/custom_resources.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

template <typename Value>
void set_default(Json& object, const char* key, const Value& value) {
  if (!object.contains(key)) object[key] = value;
}

void admit_pod(Json& pod, const Admission& admission) {
  if (admission.old != nullptr) return;
  Json& spec = pod["spec"];
  if (text_of(at(spec, {"serviceAccountName"})).empty()) spec["serviceAccountName"] = "default";
  spec["serviceAccount"] = spec["serviceAccountName"];
  set_default(spec, "preemptionPolicy", "PreemptLowerPriority");
  set_default(spec, "priority", 0);
  pod["status"] = {{"phase", "Pending"}, {"qosClass", "BestEffort"}};
}

void admit_job(Json& job, const Admission& admission) {
  Json& spec = job["spec"];
  if (admission.old != nullptr || at(spec, {"manualSelector"}) == true || !at(spec, {"template"}).is_object())
    return;
  const std::string uid = meta(job, "uid");
  Json& labels = spec["template"]["metadata"]["labels"];
  for (const char* key : {"controller-uid", "batch.kubernetes.io/controller-uid"}) labels[key] = uid;
  for (const char* key : {"job-name", "batch.kubernetes.io/job-name"}) labels[key] = meta(job, "name");
  spec["selector"] = {{"matchLabels", {{"batch.kubernetes.io/controller-uid", uid}}}};
  if (at(job, {"metadata", "labels"}).is_null()) job["metadata"]["labels"] = labels;
}

/// Addresses from 127.96.0.0/16, where the node agent listens for Services: the first free one after a hash
/// of the name.
std::string allocate_address(const Json& service, Store::Transaction& store) {
  constexpr std::size_t kHosts = 65'000;
  const std::size_t start =
      std::hash<std::string>{}(meta(service, "namespace") + "/" + meta(service, "name"));
  for (std::size_t i = 0; i < kHosts; ++i) {
    const std::size_t host = 256 + (start + i) % kHosts;
    std::string address = "127.96." + std::to_string(host / 256) + "." + std::to_string(host % 256);
    if (!store.any_holding("services", "\"clusterIP\":\"" + address + "\"")) return address;
  }
  throw internal_error("no free address in 127.96.0.0/16");
}

void admit_service(Json& service, const Admission& admission) {
  Json& spec = service["spec"];
  if (admission.old != nullptr) {
    for (const char* key : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
      if (!spec.contains(key) && !at(*admission.old, {"spec", key}).is_null())
        spec[key] = at(*admission.old, {"spec", key});
    }
  } else {
    service["status"] = {{"loadBalancer", Json::object()}};
  }
  if (at(spec, {"type"}) == "ExternalName") return;
  set_default(spec, "ipFamilies", Json::array({"IPv4"}));
  set_default(spec, "ipFamilyPolicy", "SingleStack");
  if (text_of(at(spec, {"clusterIP"})).empty())
    spec["clusterIP"] = allocate_address(service, *admission.store);
  set_default(spec, "clusterIPs", Json::array({spec["clusterIP"]}));
}

void admit_namespace(Json& space, const Admission& admission) {
  if (admission.old != nullptr) return;
  space["spec"]["finalizers"] = Json::array({"kubernetes"});
  space["status"] = {{"phase", "Active"}};
}

void admit_claim(Json& claim, const Admission& admission) {
  if (admission.old == nullptr) claim["status"] = {{"phase", "Pending"}};
}

void admit_definition(Json& crd, const Admission& admission) {
  complete_definition(crd, admission.old);
}

using Admit = void (*)(Json&, const Admission&);
const std::map<std::string, Admit, std::less<>> kAdmit = {
    {"pods", admit_pod},
    {"jobs.batch", admit_job},
    {"services", admit_service},
    {"namespaces", admit_namespace},
    {"persistentvolumeclaims", admit_claim},
    {"customresourcedefinitions.apiextensions.k8s.io", admit_definition},
};

}  // namespace

void admit(Json& object, const Resource& resource, const Admission& admission) {
  const auto it = kAdmit.find(resource.storage);
  if (it != kAdmit.end()) it->second(object, admission);
}

}  // namespace stepdown::local::api
