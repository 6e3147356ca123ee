#pragma once

#include <optional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "operator/gateway/http/server.h"

namespace stepdown::gateway {

/// One client's connection to an HttpServer. For one thread.
class ServerConnection {
 public:
  ServerConnection(boost::asio::ip::tcp::socket socket, const HttpServer::Limits& limits);

  /// Waits for the first byte of a request, with more patience than for the rest. False: none will come.
  Task<bool> await_request();
  /// Ends that wait.
  void stop_waiting() { stream_.cancel(); }

  struct Incoming {
    Request request;
    unsigned version = 11;  ///< 10: HTTP/1.0
    bool keep_alive = false;
  };
  /// The request whose first byte has come. Empty: it cannot be answered; its client was told why, if it is
  /// there.
  Task<std::optional<Incoming>> read_request();

  /// Lets `handler` answer; `keep_alive`: another request may follow if the client wants it too. False: none
  /// may.
  Task<bool> answer(Incoming incoming, bool keep_alive, const HttpServer::Handler& handler);

  /// Reads on for a moment, that what is still on its way does not turn the last answer into a reset.
  Task<> close();

 private:
  Task<> refuse(Response response);

  const HttpServer::Limits& limits_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;  // what was read and belongs to the next request
};

}  // namespace stepdown::gateway
