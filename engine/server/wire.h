#pragma once

#include <array>
#include <chrono>
#include <cstddef>
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

  /// `tls` is null on plain connections.
  Wire(int socket, SSL* tls, Patience patience) : socket_(socket), tls_(tls), patience_(patience) {}

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
  ssize_t receive();

  int socket_;
  SSL* tls_;
  Patience patience_;
  std::array<char, 8192> buffer_{};
  std::size_t at_ = 0;
  std::size_t filled_ = 0;
  bool ended_ = false;
};

}  // namespace stepdown::server
