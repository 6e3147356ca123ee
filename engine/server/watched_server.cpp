#include "engine/server/watched_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/error.h"

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

bool connected(int socket, bool tls) {
  if (tls) {  // what may wait to be read can be the peer's farewell
    pollfd entry{socket, POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) == 0;
  }
  char byte = 0;
  const ssize_t got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/// A connection as cpp-httplib reads and writes it; reads are buffered, since it reads lines byte by byte.
class Connection final : public httplib::Stream {
 public:
  /// `tls` is null on plain connections.
  Connection(int socket, SSL* tls, int read_timeout_ms, int write_timeout_ms)
      : socket_(socket), tls_(tls), read_timeout_ms_(read_timeout_ms), write_timeout_ms_(write_timeout_ms) {}

  bool is_readable() const override { return has_buffered() || poll_for(socket_, POLLIN, read_timeout_ms_); }
  bool is_writable() const override {
    return poll_for(socket_, POLLOUT, write_timeout_ms_) && connected(socket_, tls_ != nullptr);
  }
  bool has_buffered() const { return at_ < filled_ || (tls_ != nullptr && SSL_pending(tls_) > 0); }

  ssize_t read(char* out, std::size_t size) override {
    if (at_ == filled_) {
      if (!is_readable()) return -1;
      const ssize_t got = receive();
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
    if (tls_ != nullptr)
      return SSL_write(tls_, data, static_cast<int>(std::min<std::size_t>(size, INT32_MAX)));
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
  ssize_t receive() {
    if (tls_ != nullptr) return SSL_read(tls_, buffer_.data(), static_cast<int>(buffer_.size()));
    ssize_t got = 0;
    do {
      got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    } while (got < 0 && errno == EINTR);
    return got;
  }

  int socket_;
  SSL* tls_;
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

void WatchedServer::use_tls(const std::string& certificate, const std::string& key) {
  tls_ = {SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  const auto require = [](bool holds, const std::string& what, const std::string& file) {
    if (!holds) throw InputError(what, file, "give PEM files of a certificate chain and its unencrypted key");
  };
  require(tls_ != nullptr && SSL_CTX_set_min_proto_version(tls_.get(), TLS1_2_VERSION) == 1,
          "TLS cannot start", certificate);
  require(SSL_CTX_use_certificate_chain_file(tls_.get(), certificate.c_str()) == 1, "is no certificate chain",
          certificate);
  require(SSL_CTX_use_PrivateKey_file(tls_.get(), key.c_str(), SSL_FILETYPE_PEM) == 1, "is no private key",
          key);
  require(SSL_CTX_check_private_key(tls_.get()) == 1, "is not the certificate's key", key);
}

bool WatchedServer::process_and_close_socket(socket_t socket) {
  using Clock = std::chrono::steady_clock;
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(tls_ ? SSL_new(tls_.get()) : nullptr, SSL_free);
  const bool speaks =
      !tls_ || (tls && SSL_set_fd(tls.get(), static_cast<int>(socket)) == 1 && SSL_accept(tls.get()) == 1);
  Connection connection(socket, tls.get(), milliseconds(read_timeout_sec_, read_timeout_usec_),
                        milliseconds(write_timeout_sec_, write_timeout_usec_));
  const auto next_request =
      [&] {  // waits in short turns, so that stopping does not wait for idle connections
        const auto deadline = Clock::now() + std::chrono::seconds(keep_alive_timeout_sec_);
        while (!connection.has_buffered() && !poll_for(socket, POLLIN, 50)) {
          if (svr_sock_ == INVALID_SOCKET || Clock::now() > deadline) return false;
        }
        return true;
      };
  bool good = speaks;
  for (std::size_t left = keep_alive_max_count_; good && left > 0 && next_request(); --left) {
    bool closed = false;
    good = process_request(connection, left == 1, closed, [socket, &tls](httplib::Request& request) {
      request.progress = [socket, secret = tls != nullptr](std::uint64_t, std::uint64_t) {
        return connected(socket, secret);
      };
    });
    if (closed) break;
  }
  if (tls && speaks) SSL_shutdown(tls.get());
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return good;
}

}  // namespace stepdown::server
