#pragma once

#include <httplib.h>

namespace stepdown::server {

/// cpp-httplib's server, made to tell handlers whether their client is still there: it fills each request's
/// `progress`, which servers leave unused, with a function that is false once the client hung up.
class WatchedServer : public httplib::Server {
 private:
  bool process_and_close_socket(socket_t socket) override;
};

/// False once the client hung up.
inline bool client_waits(const httplib::Request& request) {
  return !request.progress || request.progress(0, 0);
}

}  // namespace stepdown::server
