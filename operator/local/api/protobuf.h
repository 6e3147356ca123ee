#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stepdown::local::api {

/// Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding).
class ProtobufWriter {
 public:
  ProtobufWriter& text(int field, std::string_view bytes);  ///< a string, bytes or a finished message
  ProtobufWriter& number(int field, std::uint64_t value);
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value);
  std::string bytes_;
};

struct ProtobufField {
  int number = 0;
  std::uint64_t value = 0;  ///< of a varint or fixed-width field
  std::string_view bytes;   ///< of a length-delimited one
  bool delimited = false;
};

/// Reads field by field; every length is checked.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) : rest_(bytes) {}
  /// nullopt at the end. Throws ApiError 400 on malformed input.
  std::optional<ProtobufField> next();

 private:
  std::uint64_t varint();
  std::string_view take(std::uint64_t size);
  std::string_view rest_;
};

}  // namespace stepdown::local::api
