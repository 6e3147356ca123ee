#include "engine/server/wire.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

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

std::string_view Wire::peek(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if (left.count() <= 0) return {};
  if (at_ == filled_) {
    if (!wait_for_bytes(std::min(left, patience_.read))) return {};
    const ssize_t got = receive();
    ended_ = got <= 0;
    at_ = 0;
    filled_ = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return {buffer_.data() + at_, filled_ - at_};
}

ssize_t Wire::receive() {
  if (tls_ != nullptr) return SSL_read(tls_, buffer_.data(), static_cast<int>(buffer_.size()));
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
  if (tls_ != nullptr) return SSL_write(tls_, data, static_cast<int>(std::min<std::size_t>(size, INT32_MAX)));
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
