#pragma once

#include <memory>
#include <string>

#include <httplib.h>

namespace stepdown::server {

/// cpp-httplib's server, made to tell handlers whether their client is still there: it fills each request's
/// `progress`, which servers leave unused, with a function that is false once the client hung up. Speaks TLS
/// when told to.
class WatchedServer : public httplib::Server {
 public:
  /// Speaks TLS 1.2 or later from now on. PEM files; throws InputError when they cannot be used.
  void use_tls(const std::string& certificate, const std::string& key);

 private:
  bool process_and_close_socket(socket_t socket) override;

  std::shared_ptr<SSL_CTX> tls_;  ///< null: plain
};

/// False once the client hung up.
inline bool client_waits(const httplib::Request& request) {
  return !request.progress || request.progress(0, 0);
}

}  // namespace stepdown::server
