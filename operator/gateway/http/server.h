#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>

#include "operator/gateway/http/asio.h"
#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// One request and the way to answer it: whole, or as a chunked stream. Nothing is sent before the first
/// call.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  /// Asked to stop as soon as the client hangs up: nobody waits for the answer any longer.
  virtual std::stop_token gone() const = 0;
  virtual Task<> respond(Response response) = 0;
  /// Status line and headers of a stream. The writers return false once the client is gone.
  virtual Task<bool> begin(int status, const Headers& headers) = 0;
  virtual Task<bool> write(std::string_view bytes) = 0;
  virtual Task<bool> end() = 0;
};

/// An HTTP/1.1 and 1.0 server with keep-alive, pipelining and `Expect: 100-continue`: what is malformed,
/// ambiguous (request smuggling), too large or too slow is answered here, with an error that says why. For
/// one thread.
class HttpServer {
 public:
  struct Limits {
    std::size_t body = 8U << 20U;     ///< bytes
    std::size_t header = 16U << 10U;  ///< bytes
    std::size_t connections = 8192;
    std::chrono::seconds request{30};  ///< for a whole request to come in
    std::chrono::seconds idle{120};    ///< between two requests, and for each write
  };
  using Handler = std::function<Task<>(Exchange&)>;

  /// Listens at once; throws Error when it cannot. `port` 0 picks a free one.
  HttpServer(asio::io_context& io, const Address& address, Limits limits, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  /// Accepts no more; connections close after the request they are at.
  void drain();
  /// Requests being answered now.
  std::size_t active() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stepdown::gateway
