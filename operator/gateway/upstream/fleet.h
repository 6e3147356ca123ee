#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "operator/gateway/http/asio.h"
#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// The engines of one revision and their health. An endpoint whose connection fails is set apart until a
/// probe of its /readyz succeeds; what was already on its way to it breaks with it and is the same incident,
/// so that one crash counts as one error, however many requests it takes along.
class Fleet {
 public:
  /// Those that stay keep their state.
  void set_addresses(const std::vector<Address>& addresses);

  bool empty() const { return endpoints_.empty(); }
  std::size_t size() const { return endpoints_.size(); }
  bool healthy() const;
  std::size_t outstanding() const;

  /// The healthy endpoint with the fewest requests under way, those in `tried` left out; in turn among
  /// equals. With `any`, also one that is set apart when no other is left.
  std::optional<Address> pick(const std::vector<Address>& tried, bool any);

  void started(const Address& address);
  void ended(const Address& address);
  /// A connection failure of a request sent at `sent`. True when it is a new incident.
  bool failed(const Address& address, SteadyTime sent, SteadyTime now);
  void recovered(const Address& address);
  /// Those set apart.
  std::vector<Address> apart() const;

 private:
  struct Endpoint {
    Address address;
    std::size_t outstanding = 0;
    bool apart = false;
    std::optional<SteadyTime> failed_at;
  };
  Endpoint* find(const Address& address);

  std::vector<Endpoint> endpoints_;
  std::size_t turn_ = 0;
};

}  // namespace stepdown::gateway
