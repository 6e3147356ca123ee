#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stepdown::local {

struct Address {
  std::string ip;
  int port = 0;
  auto operator<=>(const Address&) const = default;
};

/// Listens on addresses and forwards each TCP connection to one of the address's backends in turn; when one
/// refuses, the next is tried. Connections that run go on when their backend leaves the table. One thread,
/// poll(2).
class TcpForwarder {
 public:
  using Table = std::map<Address, std::vector<Address>>;

  TcpForwarder();
  ~TcpForwarder();
  TcpForwarder(const TcpForwarder&) = delete;
  TcpForwarder& operator=(const TcpForwarder&) = delete;

  /// Replaces the table. Addresses that cannot be listened on are logged once and tried again with the next
  /// table.
  void set(Table table);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::local
