#include "engine/server/wire.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

namespace stepdown::server {
namespace {

bool poll_for(int socket, short events, std::chrono::milliseconds limit) {
  pollfd entry{socket, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, static_cast<int>(limit.count()));
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && (entry.revents & (events | POLLHUP)) != 0;
}

}  // namespace

bool Wire::wait_for_bytes(std::chrono::milliseconds limit) {
  return at_ < filled_ || (tls_ != nullptr && SSL_pending(tls_) > 0) || poll_for(socket_, POLLIN, limit);
}

bool Wire::wait_for_tls(int result, Clock::time_point until) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  const int wants = SSL_get_error(tls_, result);
  if (left.count() <= 0 || (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE)) return false;
  return poll_for(socket_, wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, left);
}

std::optional<bool> Wire::greet(Clock::time_point until) {
  if (tls_ == nullptr) return true;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_accept(tls_);
    if (result == 1) return true;
    const int wants = SSL_get_error(tls_, result);
    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) return false;
    if (!wait_for_tls(result, until)) return std::nullopt;
  }
}

// Parts of a TLS record are no bytes yet: whoever sends them slowly gets no more time than on a plain
// connection.
std::string_view Wire::peek(Clock::time_point deadline) {
  while (at_ == filled_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0 || !wait_for_bytes(std::min(left, patience_.read))) return {};
    const auto got = receive();
    if (!got) continue;
    ended_ = *got <= 0;
    at_ = 0;
    filled_ = static_cast<std::size_t>(std::max<ssize_t>(*got, 0));
    if (ended_) return {};
  }
  return {buffer_.data() + at_, filled_ - at_};
}

std::optional<ssize_t> Wire::receive() {
  if (tls_ != nullptr) {
    ERR_clear_error();
    const int got = SSL_read(tls_, buffer_.data(), static_cast<int>(buffer_.size()));
    if (got > 0) return got;
    const int wants = SSL_get_error(tls_, got);
    return wants == SSL_ERROR_WANT_READ || wants == SSL_ERROR_WANT_WRITE ? std::nullopt : std::optional(0);
  }
  ssize_t got = 0;
  do {
    got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
  } while (got < 0 && errno == EINTR);
  return got;
}

bool Wire::connected() const {
  if (tls_ != nullptr) {  // what may wait to be read can be the peer's farewell
    pollfd entry{socket_, POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) == 0;
  }
  char byte = 0;
  const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

bool Wire::is_writable() const {
  return poll_for(socket_, POLLOUT, patience_.write) && connected();
}

ssize_t Wire::write(const char* data, std::size_t size) {
  if (!is_writable()) return -1;
  if (tls_ != nullptr) {
    const auto until = Clock::now() + patience_.write;
    for (;;) {
      ERR_clear_error();
      const int sent = SSL_write(tls_, data, static_cast<int>(std::min<std::size_t>(size, INT32_MAX)));
      if (sent > 0 || !wait_for_tls(sent, until)) return sent > 0 ? sent : -1;
    }
  }
  ssize_t sent = 0;
  do {
    sent = ::send(socket_, data, size, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

void Wire::write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = write(text.data(), text.size());
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace stepdown::server
