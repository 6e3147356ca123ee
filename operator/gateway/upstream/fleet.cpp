#include "operator/gateway/upstream/fleet.h"

#include <algorithm>

namespace stepdown::gateway {

void Fleet::set_addresses(const std::vector<Address>& addresses) {
  std::vector<Endpoint> next;
  for (const Address& address : addresses) {
    const Endpoint* known = find(address);
    next.push_back(known != nullptr ? *known : Endpoint{.address = address});
  }
  endpoints_ = std::move(next);
}

bool Fleet::healthy() const {
  return std::any_of(endpoints_.begin(), endpoints_.end(), [](const Endpoint& e) { return !e.apart; });
}

std::size_t Fleet::outstanding() const {
  std::size_t sum = 0;
  for (const Endpoint& endpoint : endpoints_) sum += endpoint.outstanding;
  return sum;
}

std::optional<Address> Fleet::pick(const std::vector<Address>& tried, bool any) {
  const Endpoint* best = nullptr;
  ++turn_;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const Endpoint& endpoint = endpoints_[(turn_ + i) % endpoints_.size()];
    if (std::find(tried.begin(), tried.end(), endpoint.address) != tried.end()) continue;
    if (endpoint.apart && !any) continue;
    const bool better = best == nullptr || (best->apart && !endpoint.apart) ||
                        (best->apart == endpoint.apart && endpoint.outstanding < best->outstanding);
    if (better) best = &endpoint;
  }
  return best == nullptr ? std::nullopt : std::optional(best->address);
}

void Fleet::started(const Address& address) {
  if (Endpoint* endpoint = find(address)) ++endpoint->outstanding;
}

void Fleet::ended(const Address& address) {
  Endpoint* endpoint = find(address);
  if (endpoint != nullptr && endpoint->outstanding > 0) --endpoint->outstanding;
}

void Fleet::answered(const Address& address) {
  if (Endpoint* endpoint = find(address)) endpoint->answered = true;
}

bool Fleet::failed(const Address& address, SteadyTime sent, SteadyTime now, bool refused) {
  Endpoint* endpoint = find(address);
  if (endpoint == nullptr) return false;  // it left the Service before it broke: a pod that was taken away
  const bool news = !endpoint->failed_at || sent > *endpoint->failed_at;
  endpoint->apart = true;
  if (news) endpoint->failed_at = now;
  return news && (endpoint->answered || !refused);
}

void Fleet::unavailable(const Address& address) {
  if (Endpoint* endpoint = find(address)) endpoint->apart = true;
}

void Fleet::recovered(const Address& address) {
  Endpoint* endpoint = find(address);
  if (endpoint == nullptr) return;
  endpoint->apart = false;
  endpoint->answered = true;
}

std::vector<Address> Fleet::apart() const {
  std::vector<Address> addresses;
  for (const Endpoint& endpoint : endpoints_) {
    if (endpoint.apart) addresses.push_back(endpoint.address);
  }
  return addresses;
}

Fleet::Endpoint* Fleet::find(const Address& address) {
  const auto found = std::find_if(endpoints_.begin(), endpoints_.end(),
                                  [&](const Endpoint& e) { return e.address == address; });
  return found == endpoints_.end() ? nullptr : &*found;
}

}  // namespace stepdown::gateway
