#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include <openssl/ssl.h>
#include <sys/types.h>

namespace stepdown::server {

/// The bytes of one connection, plain or TLS, with a limit to every wait. The socket is not its own.
class Wire {
 public:
  using Clock = std::chrono::steady_clock;
  struct Patience {
    std::chrono::milliseconds read;   ///< for the next bytes
    std::chrono::milliseconds write;  ///< for the peer to take some
  };

  /// `tls` is null on plain connections. The socket of one that is not must not block.
  Wire(int socket, SSL* tls, Patience patience) : socket_(socket), tls_(tls), patience_(patience) {}

  /// TLS's greeting: whether it succeeded; nothing while it goes on at `until`. True on plain connections.
  std::optional<bool> greet(Clock::time_point until);

  /// Bytes that came and were not taken yet; waits for some. Empty when none came in time, or the peer ended.
  std::string_view peek(Clock::time_point deadline);
  void took(std::size_t count) { at_ += count; }
  bool ended() const { return ended_; }
  bool wait_for_bytes(std::chrono::milliseconds limit);

  /// What the socket took of it; negative when the peer does not take it in time.
  ssize_t write(const char* data, std::size_t size);
  void write_all(std::string_view text);
  bool is_writable() const;
  /// False once the peer hung up.
  bool connected() const;
  int socket() const { return socket_; }

 private:
  /// As recv(); nothing when it is part of a TLS record whose rest is to come.
  std::optional<ssize_t> receive();
  /// After a TLS call that returned `result`: waits for what it wants; false when that is nothing, or did not
  /// come in time.
  bool wait_for_tls(int result, Clock::time_point until) const;

  int socket_;
  SSL* tls_;
  Patience patience_;
  std::array<char, 8192> buffer_{};
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
  bool ended_ = false;
};

}  // namespace stepdown::server
