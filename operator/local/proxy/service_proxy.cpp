#include "operator/local/proxy/service_proxy.h"

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"

namespace stepdown::local {

using kube::ObjectPtr;
using kube::text_at;
using kube::value_at;
using nlohmann::json;

namespace {

std::int64_t slice_port(const json& slice, const std::string& name) {
  for (const json& port : value_at(slice, "/ports")) {
    if (text_at(port, "/name") == name) return kube::integer_at(port, "/port", 0);
  }
  return 0;
}

std::vector<Address> backends(const json& service, const std::string& port_name,
                              const std::vector<ObjectPtr>& slices) {
  std::vector<Address> ready;
  std::vector<Address> leaving;
  for (const ObjectPtr& slice : slices) {
    if (kube::key_of(*slice).ns != kube::key_of(service).ns ||
        kube::label_of(*slice, "kubernetes.io/service-name") != kube::key_of(service).name) {
      continue;
    }
    const auto port = static_cast<int>(slice_port(*slice, port_name));
    if (port == 0) continue;
    for (const json& endpoint : value_at(*slice, "/endpoints")) {
      const Address address{text_at(endpoint, "/addresses/0"), port};
      if (value_at(endpoint, "/conditions/ready") == true) {
        ready.push_back(address);
      } else if (value_at(endpoint, "/conditions/serving") == true) {
        leaving.push_back(address);
      }
    }
  }
  return ready.empty() ? leaving : ready;
}

}  // namespace

TcpForwarder::Table forwarding_table(const std::vector<ObjectPtr>& services,
                                     const std::vector<ObjectPtr>& slices) {
  TcpForwarder::Table table;
  for (const ObjectPtr& service : services) {
    const std::string ip = text_at(*service, "/spec/clusterIP");
    if (!ip.starts_with("127.")) continue;
    for (const json& port : value_at(*service, "/spec/ports")) {
      const std::string protocol = text_at(port, "/protocol");
      if (!protocol.empty() && protocol != "TCP") continue;
      const auto number = static_cast<int>(kube::integer_at(port, "/port", 0));
      table[{ip, number}] = backends(*service, text_at(port, "/name"), slices);
    }
  }
  return table;
}

ServiceProxy::ServiceProxy(kube::Informer& services, kube::Informer& slices)
    : services_(services), slices_(slices) {
  for (kube::Informer* informer : {&services_, &slices_}) {
    informer->on_change([this](const kube::Informer::Change&) { update(); });
  }
}

void ServiceProxy::update() {
  forwarder_.set(forwarding_table(services_.list(), slices_.list()));
}

}  // namespace stepdown::local
