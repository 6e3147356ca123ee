#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>

#include <sys/socket.h>

namespace stepdown {

/// Binds a cpp-httplib server to `port`, or to any free one for 0, and returns the port; 0 when it is taken
/// or the address is not this machine's. Left to itself the library lets a second process share the port
/// (SO_REUSEPORT), so that each gets half of the connections, and keeps a queue of five, so that bursts are
/// dropped.
template <class Server>
int bind_alone(Server& server, const std::string& host, int port) {
  constexpr int kQueue = 512;
  int listener = -1;
  server.set_socket_options([&listener](int socket) {
    const int yes = 1;  // a port of a process that has just ended is free
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    listener = socket;
  });
  if (port == 0) {
    port = server.bind_to_any_port(host.c_str());
  } else if (!server.bind_to_port(host.c_str(), port)) {
    port = 0;
  }
  server.set_socket_options([](int /*socket*/) {});
  if (port <= 0) return 0;
  ::listen(listener, kQueue);  // on a socket that listens already: its queue grows
  return port;
}

/// bind_alone() to every address of this machine, of both families; where the kernel has no IPv6, of IPv4.
template <class Server>
int bind_everywhere(Server& server, int port) {
  if (const int bound = bind_alone(server, "::", port); bound != 0) return bound;
  return bind_alone(server, "0.0.0.0", port);
}

/// Lets a cpp-httplib server answer so many connections at a time, by threads of a `Pool`. The library takes
/// a bare pointer, which it deletes.
template <class Pool, class Server>
void serve_by(Server& server, std::size_t connections) {
  server.new_task_queue = [connections] { return std::make_unique<Pool>(connections).release(); };
}

/// Runs a bound cpp-httplib server until stop(), which may come at any time, before run() too: the library
/// itself forgets a stop() that comes before it listens.
template <class Server>
class Listener {
 public:
  explicit Listener(Server& server) : server_(server) {}

  /// Returns once stop() was called and all open requests are answered; false when the socket failed.
  bool run() {
    begun_ = true;
    const bool good = stopping_ || server_.listen_after_bind();
    ended_ = true;
    return good || stopping_;
  }

  void stop() {
    if (stopping_.exchange(true)) return;
    while (begun_ && !ended_ && !server_.is_running())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (server_.is_running()) server_.stop();
  }

 private:
  Server& server_;
  std::atomic<bool> begun_ = false, stopping_ = false, ended_ = false;
};

}  // namespace stepdown
