#pragma once

#include <memory>
#include <stop_token>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>

namespace stepdown::gateway {

/// Watches a client's connection while its request is answered: `gone` is told at once when the client hangs
/// up, closes its sending side included, as no client of HTTP does that while it waits. What a client sends
/// ahead (a pipelined request) goes to `pending`; one that sends very much ahead is not watched any longer.
/// For one thread.
class HangUpWatch {
 public:
  HangUpWatch(boost::asio::ip::tcp::socket& socket, boost::beast::flat_buffer& pending);
  /// From here on both are the caller's alone.
  ~HangUpWatch();
  HangUpWatch(const HangUpWatch&) = delete;
  HangUpWatch& operator=(const HangUpWatch&) = delete;

  std::stop_token gone() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stepdown::gateway
