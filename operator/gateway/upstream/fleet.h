#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "operator/gateway/http/asio.h"
#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// The engines of one revision and their health. An endpoint whose connection fails is set apart until a
/// probe of its /readyz is answered, with anything but a 5xx; what was already on its way to it breaks with
/// it and is the same incident, so that one crash counts as one error, however many requests it takes along.
/// A refused connection to an endpoint that never answered is none at all: it was listed before it listened.
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
  /// It sent the header of an answer.
  void answered(const Address& address);
  /// A connection failure of a request sent at `sent`; `refused`: before anything could be sent. True when it
  /// is a new incident.
  bool failed(const Address& address, SteadyTime sent, SteadyTime now, bool refused = false);
  /// It answers that it takes no work (503), as one does that is about to end: set apart, and no incident.
  void unavailable(const Address& address);
  /// A probe succeeded.
  void recovered(const Address& address);
  /// Those set apart.
  std::vector<Address> apart() const;

 private:
  struct Endpoint {
    Address address;
    std::size_t outstanding = 0;
    bool apart = false;
    bool answered = false;  ///< ever, a probe included
    std::optional<SteadyTime> failed_at;
  };
  Endpoint* find(const Address& address);

  std::vector<Endpoint> endpoints_;
  std::size_t turn_ = 0;
};

}  // namespace stepdown::gateway
