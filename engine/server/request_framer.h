#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stepdown::server {

/// Why bytes are no HTTP request that is taken.
struct FramingError {
  int status = 400;
  std::string what;
};

/// Cuts HTTP/1.1 requests out of a stream of bytes, strictly by RFC 9112, so that a proxy before us can never
/// see another request than we do: one length alone, either way of giving it, no folded lines, no bare line
/// feeds. Bodies are taken whole, chunked ones joined. Without I/O.
class RequestFramer {
 public:
  struct Limits {
    std::size_t line = 8000;
    std::size_t head = 32 << 10;
    std::size_t fields = 100;
    std::size_t body = 8 << 20;
  };

  explicit RequestFramer(Limits limits) : limits_(limits) {}

  /// Takes bytes until the request is whole or wrong; returns how many it took. The rest belongs to the next.
  std::size_t feed(std::string_view bytes);

  bool whole() const { return state_ == State::kWhole; }
  bool in_body() const { return state_ > State::kFields && state_ < State::kWhole; }
  const std::optional<FramingError>& error() const { return error_; }
  /// Whether the client wants to hear "100 Continue" before it sends the body; true once.
  bool wants_continue();
  /// The whole request, once: its length told by Content-Length alone, without the fields that were about
  /// framing.
  std::string take();

 private:
  enum class State { kRequestLine, kFields, kBody, kChunkSize, kChunk, kChunkEnd, kTrailers, kWhole };

  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void take_field(std::string_view line);
  void take_length(std::string_view value);
  void take_chunk_size(std::string_view line);
  void end_head();
  void fail(int status, std::string what);

  Limits limits_;
  State state_ = State::kRequestLine;
  std::optional<FramingError> error_;
  std::string line_;
  std::string head_;  ///< request line and kept fields, each with CRLF
  std::string body_;
  std::size_t head_bytes_ = 0;
  std::size_t fields_ = 0;
  std::uint64_t left_ = 0;  ///< of the body or the chunk
  std::optional<std::uint64_t> length_;
  bool chunked_ = false;
  bool old_ = false;  ///< HTTP/1.0
  bool expects_ = false;
};

}  // namespace stepdown::server
