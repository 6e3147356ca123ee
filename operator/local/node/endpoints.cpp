#include "operator/local/node/endpoints.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/kube/resources.h"
#include "operator/local/node/pod_facts.h"

namespace stepdown::local {

using kube::ObjectKey;
using kube::ObjectPtr;
using kube::text_at;
using kube::value_at;
using nlohmann::json;

namespace {

constexpr const char* kManager = "stepdown-local-endpoints";

/// A Service's target port in a pod: a number, or a container port's name. 0 when the pod lacks it.
std::int64_t target_port(const json& port, const json& pod) {
  const json& target = value_at(port, "/targetPort");
  if (target.is_number_integer()) return target.get<std::int64_t>();
  if (!target.is_string()) return kube::integer_at(port, "/port", 0);
  for (const json& container : value_at(pod, "/spec/containers")) {
    for (const json& known : value_at(container, "/ports")) {
      if (text_at(known, "/name") == target.get<std::string>())
        return kube::integer_at(known, "/containerPort", 0);
    }
  }
  return 0;
}

json ports_of(const json& service, const std::vector<ObjectPtr>& pods) {
  json ports = json::array();
  for (const json& port : value_at(service, "/spec/ports")) {
    // A slice has one set of ports for all: pods of one Service come from one template here.
    std::int64_t number = 0;
    for (const ObjectPtr& pod : pods) number = std::max(number, target_port(port, *pod));
    if (number == 0 && value_at(port, "/targetPort").is_number_integer())
      number = port["targetPort"].get<std::int64_t>();
    if (number == 0) continue;
    ports.push_back({{"name", text_at(port, "/name")},
                     {"port", number},
                     {"protocol", text_at(port, "/protocol").empty() ? "TCP" : text_at(port, "/protocol")}});
  }
  return ports;
}

}  // namespace

json endpoint_slice(const json& service, const std::vector<ObjectPtr>& pods, const std::string& node) {
  const ObjectKey key = kube::key_of(service);
  json labels = value_at(service, "/metadata/labels").is_object() ? value_at(service, "/metadata/labels")
                                                                  : json::object();
  labels["kubernetes.io/service-name"] = key.name;
  labels["endpointslice.kubernetes.io/managed-by"] = kManager;
  if (text_at(service, "/spec/clusterIP") == "None") labels["service.kubernetes.io/headless"] = "";
  json endpoints = json::array();
  for (const ObjectPtr& pod : pods) {
    const std::string ip = text_at(*pod, "/status/podIP");
    if (ip.empty() || pod_over(*pod)) continue;
    const bool serving = pod_ready(*pod);
    const bool terminating = kube::is_being_deleted(*pod);
    const bool ready =
        (serving || value_at(service, "/spec/publishNotReadyAddresses") == true) && !terminating;
    endpoints.push_back(
        {{"addresses", {ip}},
         {"conditions", {{"ready", ready}, {"serving", serving}, {"terminating", terminating}}},
         {"nodeName", node},
         {"targetRef",
          {{"kind", "Pod"},
           {"namespace", key.ns},
           {"name", kube::key_of(*pod).name},
           {"uid", kube::uid_of(*pod)}}}});
  }
  std::sort(endpoints.begin(), endpoints.end(),
            [](const json& a, const json& b) { return a["addresses"] < b["addresses"]; });
  return {{"apiVersion", "discovery.k8s.io/v1"},
          {"kind", "EndpointSlice"},
          {"metadata",
           {{"namespace", key.ns},
            {"name", key.name + "-local"},
            {"labels", labels},
            {"ownerReferences", {kube::controller_reference(service)}}}},
          {"addressType", "IPv4"},
          {"endpoints", endpoints},
          {"ports", ports_of(service, pods)}};
}

EndpointsController::EndpointsController(const NodeContext& context, kube::Informer& services,
                                         kube::Informer& pods)
    : context_(context),
      services_(services),
      pods_(pods),
      loop_("endpoints controller", [this](const ObjectKey& key) { return reconcile(key); }) {
  loop_.watch(services);
  pods.on_change([this](const kube::Informer::Change& change) {
    const json& labels = value_at(change.after ? *change.after : *change.before, "/metadata/labels");
    for (const ObjectPtr& service : services_.list()) {
      if (kube::key_of(*service).ns == change.key.ns &&
          selects(value_at(*service, "/spec/selector"), labels)) {
        loop_.queue().add(kube::key_of(*service));
      }
    }
  });
}

std::optional<std::chrono::milliseconds> EndpointsController::reconcile(const ObjectKey& key) {
  const ObjectPtr service = services_.get(key);
  if (!service || kube::is_being_deleted(*service)) return std::nullopt;
  const json& selector = value_at(*service, "/spec/selector");
  if (!selector.is_object() || selector.empty()) return std::nullopt;  // its endpoints are somebody else's
  const auto chosen = pods_.find([&](const json& pod) {
    return kube::key_of(pod).ns == key.ns && selects(selector, value_at(pod, "/metadata/labels"));
  });
  const auto applied =
      context_.client.apply(kube::resources::kEndpointSlices,
                            endpoint_slice(*service, chosen, context_.node_name), {kManager, true});
  if (!applied) throw kube::ApiException(applied.error());
  return std::nullopt;
}

}  // namespace stepdown::local
