#include "operator/local/api/protobuf.h"

#include <cstring>

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {
namespace {

enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

[[noreturn]] void malformed() {
  throw bad_request("the body is no well-formed protobuf message");
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

}  // namespace

void ProtobufWriter::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
  bytes_ += static_cast<char>(value);
}

ProtobufWriter& ProtobufWriter::text(int field, std::string_view bytes) {
  varint(static_cast<std::uint64_t>(field) << 3 | kDelimited);
  varint(bytes.size());
  bytes_ += bytes;
  return *this;
}

ProtobufWriter& ProtobufWriter::number(int field, std::uint64_t value) {
  varint(static_cast<std::uint64_t>(field) << 3 | kVarint);
  varint(value);
  return *this;
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) malformed();
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  malformed();
}

std::string_view ProtobufReader::take(std::uint64_t size) {
  if (size > rest_.size()) malformed();
  const std::string_view out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return out;
}

std::optional<ProtobufField> ProtobufReader::next() {
  if (rest_.empty()) return std::nullopt;
  const std::uint64_t tag = varint();
  if (tag >> 3 == 0 || tag >> 3 > 536'870'911) malformed();
  ProtobufField field;
  field.number = static_cast<int>(tag >> 3);
  switch (tag & 7) {
    case kVarint:
      field.value = varint();
      break;
    case kFixed64:
      field.value = little_endian(take(8));
      break;
    case kFixed32:
      field.value = little_endian(take(4));
      break;
    case kDelimited:
      field.delimited = true;
      field.bytes = take(varint());
      break;
    default:
      malformed();
  }
  return field;
}

}  // namespace stepdown::local::api
