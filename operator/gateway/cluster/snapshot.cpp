#include "operator/gateway/cluster/snapshot.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/gateway/cluster/verdict_status.h"
#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

// The port named "http", else the first.
std::uint16_t port_of(const json& slice) {
  std::uint16_t first = 0;
  const json& ports = member(slice, "ports");
  if (!ports.is_array()) return 0;
  for (const json& entry : ports) {
    const json& number = member(entry, "port");
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > 65535) continue;
    const auto port = number.get<std::uint16_t>();
    if (member(entry, "name") == "http") return port;
    if (first == 0) first = port;
  }
  return first;
}

void add_slice(const json& slice, Endpoints& endpoints) {
  const json& service = member(member(member(slice, "metadata"), "labels"), "kubernetes.io/service-name");
  const std::uint16_t port = port_of(slice);
  const json& entries = member(slice, "endpoints");
  if (!service.is_string() || port == 0 || !entries.is_array()) return;
  for (const json& entry : entries) {
    if (member(member(entry, "conditions"), "ready") == false) continue;
    const json& addresses = member(entry, "addresses");
    if (!addresses.is_array()) continue;
    for (const json& address : addresses) {
      if (address.is_string())
        endpoints[service.get<std::string>()].push_back({address.get<std::string>(), port});
    }
  }
}

}  // namespace

bool Snapshot::operator==(const Snapshot& other) const {
  return rollout == other.rollout && endpoints == other.endpoints && generation == other.generation &&
         trips.size() == other.trips.size();
}

Snapshot read_snapshot(const json& model, const std::vector<json>& endpoint_slices) {
  Snapshot snapshot;
  snapshot.rollout = read_rollout(model);
  if (auto trip = trip_of_status(model)) snapshot.trips.push_back(std::move(*trip));
  const json& generation = member(member(model, "metadata"), "generation");
  if (generation.is_number_integer()) snapshot.generation = generation.get<std::int64_t>();
  for (const json& slice : endpoint_slices) add_slice(slice, snapshot.endpoints);
  for (auto& [service, addresses] : snapshot.endpoints) {
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  }
  return snapshot;
}

}  // namespace stepdown::gateway
