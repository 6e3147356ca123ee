#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace stepdown::kube {

struct Config;

/// One request to an API server, as bytes but for the connection: what request.h builds and tests look at.
struct HttpRequest {
  std::string method = "GET";
  std::string path;  ///< with query, percent-encoded: "/api/v1/pods?limit=500"
  std::string content_type;
  std::string body;
  bool repeatable = true;  ///< sent twice it does no more than once, or is refused
  std::chrono::milliseconds timeout{
      60'000};  ///< between bytes of the answer; also the longest wait for a connection
};

struct HttpResponse {
  int status = 0;
  std::optional<std::chrono::seconds> retry_after;
  std::string body;
};

/// Carries requests to one API server. Safe from any thread.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Throws TransportError when no complete answer came.
  virtual HttpResponse send(const HttpRequest& request) = 0;

  /// Streams the body of a 200 answer to `on_chunk` until the server ends it, `idle` passes without a byte,
  /// `on_chunk` returns false or `stop` is asked; these ends are no error. Any other status comes back with
  /// its body.
  virtual HttpResponse stream(const HttpRequest& request, std::chrono::milliseconds idle,
                              const std::function<bool(std::string_view)>& on_chunk,
                              std::stop_token stop) = 0;
};

/// HTTPS by cpp-httplib: keep-alive connections in a pool, credentials of `config` on each request (token
/// files and exec plugins are read anew before they expire, and after a 401), server certificate always
/// verified.
std::unique_ptr<Transport> make_https_transport(Config config);

}  // namespace stepdown::kube
