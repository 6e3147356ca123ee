#pragma once

#include <atomic>
#include <chrono>
#include <climits>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <httplib.h>

#include "engine/server/request_framer.h"

namespace stepdown::server {

class Wire;

/// cpp-httplib's server, made to take only requests that are framed strictly and come whole in time
/// (request_framer.h; a read alone has the library's own limit), and to tell handlers whether their client is
/// still there: it fills each request's `progress`, which servers leave unused, with a function that is false
/// once the client hung up. Speaks TLS when told to. A connection holds a thread; when all have one, those
/// that idle between requests are closed and those that send slowly get less time, so that the next gets its
/// turn.
class WatchedServer : public httplib::Server {
 public:
  struct TimeLimits {
    std::chrono::milliseconds head{10'000};
    std::chrono::milliseconds body{60'000};
    std::chrono::milliseconds crowded{500};  ///< for either, when every thread has a connection
  };
  /// The JSON body of the answer to what is no request that is taken.
  using Refusal = std::function<std::string(const FramingError&)>;

  /// Speaks TLS 1.2 or later from now on. PEM files; throws InputError when they cannot be used.
  void use_tls(const std::string& certificate, const std::string& key);
  /// How many connections are served at a time; the rest wait for one of them to end.
  void set_connections(std::size_t most);
  void set_refusal(Refusal refusal) { refusal_ = std::move(refusal); }
  void set_time_limits(TimeLimits limits) { limits_ = limits; }

 private:
  bool process_and_close_socket(socket_t socket) override;
  /// The next request, whole; or nothing, when the connection is to be closed.
  std::optional<std::string> receive(Wire& wire) const;
  bool crowded() const { return open_ >= most_; }
  /// Whether the client speaks TLS, where the server does, and says so in time.
  bool greets(Wire& wire) const;
  /// Waits in short turns, so that neither stopping nor other connections wait for idle ones.
  bool next_request(Wire& wire) const;

  std::shared_ptr<SSL_CTX> tls_;  ///< null: plain
  Refusal refusal_;
  TimeLimits limits_;
  int most_ = INT_MAX;
  std::atomic<int> open_ = 0;
};

/// False once the client hung up.
inline bool client_waits(const httplib::Request& request) {
  return !request.progress || request.progress(0, 0);
}

}  // namespace stepdown::server
