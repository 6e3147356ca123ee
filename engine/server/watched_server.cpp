#include "engine/server/watched_server.h"

#include <array>
#include <cerrno>
#include <chrono>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stepdown::server {
namespace {

bool poll_for(int socket, short events, int milliseconds) {
  pollfd entry{socket, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && (entry.revents & (events | POLLHUP)) != 0;
}

bool connected(int socket) {
  char byte = 0;
  const ssize_t got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/// A connection as cpp-httplib reads and writes it; reads are buffered, since it reads lines byte by byte.
class Connection final : public httplib::Stream {
 public:
  Connection(int socket, int read_timeout_ms, int write_timeout_ms)
      : socket_(socket), read_timeout_ms_(read_timeout_ms), write_timeout_ms_(write_timeout_ms) {}

  bool is_readable() const override { return at_ < filled_ || poll_for(socket_, POLLIN, read_timeout_ms_); }
  bool is_writable() const override {
    return poll_for(socket_, POLLOUT, write_timeout_ms_) && connected(socket_);
  }
  bool has_buffered() const { return at_ < filled_; }

  ssize_t read(char* out, std::size_t size) override {
    if (at_ == filled_) {
      if (!is_readable()) return -1;
      ssize_t got = 0;
      do {
        got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
      } while (got < 0 && errno == EINTR);
      if (got <= 0) return got;
      at_ = 0;
      filled_ = static_cast<std::size_t>(got);
    }
    const std::size_t count = std::min(size, filled_ - at_);
    std::copy_n(buffer_.data() + at_, count, out);
    at_ += count;
    return static_cast<ssize_t>(count);
  }

  ssize_t write(const char* data, std::size_t size) override {
    if (!is_writable()) return -1;
    ssize_t sent = 0;
    do {
      sent = ::send(socket_, data, size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
  }

  // Nothing here asks for addresses.
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return socket_; }

 private:
  int socket_;
  int read_timeout_ms_;
  int write_timeout_ms_;
  std::array<char, 8192> buffer_{};
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
};

int milliseconds(time_t seconds, time_t micros) {
  return static_cast<int>(seconds * 1000 + micros / 1000);
}

}  // namespace

bool WatchedServer::process_and_close_socket(socket_t socket) {
  using Clock = std::chrono::steady_clock;
  Connection connection(socket, milliseconds(read_timeout_sec_, read_timeout_usec_),
                        milliseconds(write_timeout_sec_, write_timeout_usec_));
  const auto next_request =
      [&] {  // waits in short turns, so that stopping does not wait for idle connections
        const auto deadline = Clock::now() + std::chrono::seconds(keep_alive_timeout_sec_);
        while (!connection.has_buffered() && !poll_for(socket, POLLIN, 50)) {
          if (svr_sock_ == INVALID_SOCKET || Clock::now() > deadline) return false;
        }
        return true;
      };
  bool good = true;
  for (std::size_t left = keep_alive_max_count_; good && left > 0 && next_request(); --left) {
    bool closed = false;
    good = process_request(connection, left == 1, closed, [socket](httplib::Request& request) {
      request.progress = [socket](std::uint64_t, std::uint64_t) { return connected(socket); };
    });
    if (closed) break;
  }
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return good;
}

}  // namespace stepdown::server
