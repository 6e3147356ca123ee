#pragma once

#include <memory>
#include <string>

#include "operator/gateway/cluster/snapshot.h"

namespace stepdown::kube {
class Client;
}

namespace stepdown::gateway {

/// Watches one QuantizedModel and the EndpointSlices of its engines and gateways. While the API server is
/// away the last snapshot stays in force.
std::unique_ptr<RouteSource> make_kube_source(const kube::Client& client, std::string ns, std::string model);

/// Applies status as field manager `stepdown-gateway`, from a thread of its own: what is urgent at once,
/// counts at most every 5 s, nothing twice. Tries again while the API server is away; only the last status
/// matters.
std::unique_ptr<VerdictSink> make_kube_sink(const kube::Client& client, std::string ns, std::string model);

}  // namespace stepdown::gateway
