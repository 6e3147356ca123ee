#include "operator/local/proxy/tcp_forwarder.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <set>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/log.h"

namespace stepdown::local {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

sockaddr_in to_sockaddr(const Address& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(address.port));
  ::inet_pton(AF_INET, address.ip.c_str(), &result.sin_addr);
  return result;
}

Socket new_socket() {
  return Socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Bytes on their way from one socket to another.
struct Flow {
  std::array<char, kBufferBytes> buffer;
  std::size_t begin = 0;
  std::size_t end = 0;
  bool source_done = false;
  bool closed = false;  ///< the end was passed on

  bool wants_input() const { return !source_done && end < buffer.size(); }
  bool has_output() const { return begin < end; }

  /// Both false on a broken connection.
  bool fill(int from) {
    const ssize_t count = ::recv(from, buffer.data() + end, buffer.size() - end, 0);
    if (count > 0) end += static_cast<std::size_t>(count);
    if (count == 0) source_done = true;
    return count >= 0 || errno == EAGAIN || errno == EINTR;
  }
  bool drain(int to) {
    const ssize_t count = ::send(to, buffer.data() + begin, end - begin, MSG_NOSIGNAL);
    if (count > 0) begin += static_cast<std::size_t>(count);
    if (begin == end) begin = end = 0;
    return count >= 0 || errno == EAGAIN || errno == EINTR;
  }
};

struct Connection {
  Socket client;
  Socket backend;
  bool connecting = true;
  std::vector<Address> others;  ///< backends left to try
  Flow up;
  Flow down;
};

struct Listener {
  Socket socket;
  std::size_t turn = 0;
};

}  // namespace

struct TcpForwarder::State {
  Socket wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::mutex mutex;
  Table wanted;
  bool changed = false;
  // Of the thread alone:
  Table table;
  std::map<Address, Listener> listeners;
  std::set<Address> refused;
  std::list<Connection> connections;
  std::jthread thread;

  void notify() const {
    const std::uint64_t one = 1;
    (void)!::write(wake.fd(), &one, sizeof one);
  }

  void take_table() {
    {
      const std::lock_guard lock(mutex);
      if (!std::exchange(changed, false)) return;
      table = wanted;
    }
    std::erase_if(listeners, [this](const auto& entry) { return !table.contains(entry.first); });
    for (const auto& [address, backends] : table) {
      if (!listeners.contains(address)) listen(address);
    }
  }

  void listen(const Address& address) {
    Socket socket = new_socket();
    const int on = 1;
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in where = to_sockaddr(address);
    if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
        ::listen(socket.fd(), 128) != 0) {
      if (refused.insert(address).second) {
        log::warn(
            "cannot listen for a Service",
            {{"address", address.ip + ":" + std::to_string(address.port)}, {"error", std::strerror(errno)}});
      }
      return;
    }
    refused.erase(address);
    listeners[address].socket = std::move(socket);
  }

  void accept(const Address& address, Listener& listener) {
    Socket client(::accept4(listener.socket.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) return;
    no_delay(client.fd());
    const std::vector<Address>& backends = table[address];
    Connection connection;
    for (std::size_t i = 0; i < backends.size(); ++i) {
      connection.others.push_back(backends[(listener.turn + backends.size() - 1 - i) % backends.size()]);
    }
    ++listener.turn;
    connection.client = std::move(client);
    if (connect_next(connection)) connections.push_back(std::move(connection));
  }

  /// False when no backend is left: the client is refused.
  static bool connect_next(Connection& connection) {
    while (!connection.others.empty()) {
      const sockaddr_in where = to_sockaddr(connection.others.back());
      connection.others.pop_back();
      connection.backend = new_socket();
      no_delay(connection.backend.fd());
      if (::connect(connection.backend.fd(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ||
          errno == EINPROGRESS) {
        connection.connecting = true;
        return true;
      }
    }
    return false;
  }

  static short client_events(const Connection& c) {
    return static_cast<short>((c.up.wants_input() ? POLLIN : 0) | (c.down.has_output() ? POLLOUT : 0));
  }
  static short backend_events(const Connection& c) {
    if (c.connecting) return POLLOUT;
    return static_cast<short>((c.down.wants_input() ? POLLIN : 0) | (c.up.has_output() ? POLLOUT : 0));
  }

  /// False when the connection is over.
  static bool serve(Connection& c, short client, short backend) {
    if (c.connecting) {
      if (backend == 0) return (client & (POLLHUP | POLLERR)) == 0;
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(c.backend.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return connect_next(c);
      c.connecting = false;
      return true;
    }
    if ((client & (POLLIN | POLLHUP | POLLERR)) != 0 && c.up.wants_input() && !c.up.fill(c.client.fd()))
      return false;
    if ((backend & (POLLIN | POLLHUP | POLLERR)) != 0 && c.down.wants_input() && !c.down.fill(c.backend.fd()))
      return false;
    if (c.up.has_output() && !c.up.drain(c.backend.fd())) return false;
    if (c.down.has_output() && !c.down.drain(c.client.fd())) return false;
    const auto pass_end = [](Flow& flow, int to) {
      if (flow.source_done && !flow.has_output() && !std::exchange(flow.closed, true))
        ::shutdown(to, SHUT_WR);
    };
    pass_end(c.up, c.backend.fd());
    pass_end(c.down, c.client.fd());
    return !(c.up.closed && c.down.closed);
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      take_table();
      std::vector<pollfd> polled = {{wake.fd(), POLLIN, 0}};
      for (const auto& [address, listener] : listeners) polled.push_back({listener.socket.fd(), POLLIN, 0});
      for (const Connection& c : connections) {
        // A side with nothing to wait for is left out: its hang-up would be reported for ever.
        polled.push_back({client_events(c) != 0 ? c.client.fd() : -1, client_events(c), 0});
        polled.push_back({backend_events(c) != 0 ? c.backend.fd() : -1, backend_events(c), 0});
      }
      if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) throw Error("poll failed");
      std::size_t at = 1;
      const std::size_t first_connection = 1 + listeners.size();
      std::uint64_t drained = 0;
      (void)!::read(wake.fd(), &drained, sizeof drained);
      std::size_t of_connection = first_connection;
      for (auto c = connections.begin(); c != connections.end(); of_connection += 2) {
        const bool goes_on = serve(*c, polled[of_connection].revents, polled[of_connection + 1].revents);
        c = goes_on ? std::next(c) : connections.erase(c);
      }
      for (auto& [address, listener] : listeners) {
        if (polled[at++].revents != 0) accept(address, listener);
      }
    }
  }
};

TcpForwarder::TcpForwarder() : state_(std::make_unique<State>()) {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

TcpForwarder::~TcpForwarder() {
  state_->thread.request_stop();
  state_->notify();
  state_->thread.join();
}

void TcpForwarder::set(Table table) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->wanted = std::move(table);
    state_->changed = true;
  }
  state_->notify();
}

}  // namespace stepdown::local
