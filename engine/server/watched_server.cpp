#include "engine/server/watched_server.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/listen.h"
#include "engine/server/open.h"
#include "engine/server/wire.h"

namespace stepdown::server {
namespace {

constexpr std::chrono::milliseconds kTurn{50};

/// One request that came whole, as cpp-httplib reads it, and the wire for the answer.
class Exchange final : public httplib::Stream {
 public:
  Exchange(Wire& wire, std::string request) : wire_(wire), request_(std::move(request)) {}

  bool is_readable() const override { return at_ < request_.size(); }
  bool is_writable() const override { return wire_.is_writable(); }
  ssize_t read(char* out, std::size_t size) override {
    const std::size_t count = std::min(size, request_.size() - at_);
    std::copy_n(request_.data() + at_, count, out);
    at_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* data, std::size_t size) override { return wire_.write(data, size); }
  // Nothing here asks for addresses.
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return wire_.socket(); }

 private:
  Wire& wire_;
  std::string request_;
  std::size_t at_ = 0;
};

const char* reason(int status) {
  switch (status) {
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Request";
  }
}

// Lets the client read the answer: a close with unread bytes would reset the connection under it.
void linger(Wire& wire, std::chrono::milliseconds limit) {
  ::shutdown(wire.socket(), SHUT_WR);
  const auto deadline = Wire::Clock::now() + limit;
  for (std::string_view bytes = wire.peek(deadline); !bytes.empty(); bytes = wire.peek(deadline))
    wire.took(bytes.size());
}

std::chrono::milliseconds milliseconds(time_t seconds, time_t micros) {
  return std::chrono::milliseconds(seconds * 1000 + micros / 1000);
}

}  // namespace

void WatchedServer::use_tls(const std::string& certificate, const std::string& key) {
  tls_ = {SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  const auto require = [](bool holds, const std::string& what, const std::string& file) {
    if (!holds) throw InputError(what, file, "give PEM files of a certificate chain and its unencrypted key");
  };
  require(tls_ != nullptr && SSL_CTX_set_min_proto_version(tls_.get(), TLS1_2_VERSION) == 1,
          "TLS cannot start", certificate);
  SSL_CTX_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  require(SSL_CTX_use_certificate_chain_file(tls_.get(), certificate.c_str()) == 1, "is no certificate chain",
          certificate);
  require(SSL_CTX_use_PrivateKey_file(tls_.get(), key.c_str(), SSL_FILETYPE_PEM) == 1, "is no private key",
          key);
  require(SSL_CTX_check_private_key(tls_.get()) == 1, "is not the certificate's key", key);
}

std::optional<std::string> WatchedServer::receive(Wire& wire) const {
  RequestFramer framer({.body = payload_max_length_});
  auto began = Wire::Clock::now();
  while (!framer.whole() && !framer.error()) {
    const auto limit = crowded() ? limits_.crowded : framer.in_body() ? limits_.body : limits_.head;
    const bool before_body = !framer.in_body();
    const std::string_view bytes = wire.peek(std::min(began + limit, Wire::Clock::now() + kTurn));
    if (bytes.empty() && (wire.ended() || Wire::Clock::now() >= began + limit)) break;
    if (bytes.empty()) continue;
    wire.took(framer.feed(bytes));
    if (before_body && framer.in_body()) began = Wire::Clock::now();
    if (framer.wants_continue()) wire.write_all("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (framer.whole()) return framer.take();
  if (!wire.ended()) {
    const FramingError error =
        framer.error().value_or(FramingError{408, "the request did not come whole in time"});
    const std::string body = refusal_ ? refusal_(error) : error.what + "\n";
    wire.write_all("HTTP/1.1 " + std::to_string(error.status) + " " + reason(error.status) +
                   "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body);
    linger(wire, crowded() ? limits_.crowded : std::chrono::seconds(2));
  }
  return std::nullopt;
}

bool WatchedServer::greets(Wire& wire) const {
  const auto began = Wire::Clock::now();
  for (;;) {
    const auto limit = crowded() ? limits_.crowded : limits_.head;
    if (const auto done = wire.greet(std::min(began + limit, Wire::Clock::now() + kTurn))) return *done;
    if (svr_sock_ == INVALID_SOCKET || Wire::Clock::now() > began + limit) return false;
  }
}

bool WatchedServer::next_request(Wire& wire) const {
  const auto began = Wire::Clock::now();
  while (!wire.wait_for_bytes(kTurn)) {
    const auto limit = crowded() ? limits_.crowded : std::chrono::seconds(keep_alive_timeout_sec_);
    if (svr_sock_ == INVALID_SOCKET || Wire::Clock::now() > began + limit) return false;
  }
  return true;
}

void WatchedServer::set_connections(std::size_t most) {
  most_ = static_cast<int>(most);
  serve_by<httplib::ThreadPool>(*this, most);
}

bool WatchedServer::process_and_close_socket(socket_t socket) {
  const Open opened(open_);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(tls_ ? SSL_new(tls_.get()) : nullptr, SSL_free);
  // TLS reads whole records, however slowly they come: only a socket that does not block keeps to limits.
  const bool ready = !tls_ || (tls && ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK) == 0 &&
                               SSL_set_fd(tls.get(), static_cast<int>(socket)) == 1);
  Wire wire(socket, tls.get(),
            {milliseconds(read_timeout_sec_, read_timeout_usec_),
             milliseconds(write_timeout_sec_, write_timeout_usec_)});
  const bool speaks = ready && greets(wire);
  bool good = speaks;
  for (std::size_t left = keep_alive_max_count_; good && left > 0 && next_request(wire); --left) {
    auto request = receive(wire);
    if (!request) break;
    Exchange exchange(wire, std::move(*request));
    bool closed = false;
    good = process_request(exchange, left == 1, closed, [&wire](httplib::Request& each) {
      each.progress = [&wire](std::uint64_t, std::uint64_t) { return wire.connected(); };
    });
    if (closed) break;
  }
  if (tls && speaks) SSL_shutdown(tls.get());
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return good;
}

}  // namespace stepdown::server
