#include "engine/formats/gguf_metadata.h"

#include <cstring>
#include <limits>

namespace stepdown::formats {
namespace {

template <typename T>
void append(std::string& bytes, T value) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof(T));
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

void append_text(std::string& bytes, std::string_view text) {
  append<std::uint64_t>(bytes, text.size());
  bytes += text;
}

template <typename T>
T load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

std::optional<std::int64_t> load_integer(GgufType type, const char* at) {
  switch (type) {
    case GgufType::kU8:
      return load<std::uint8_t>(at);
    case GgufType::kI8:
      return load<std::int8_t>(at);
    case GgufType::kU16:
      return load<std::uint16_t>(at);
    case GgufType::kI16:
      return load<std::int16_t>(at);
    case GgufType::kU32:
      return load<std::uint32_t>(at);
    case GgufType::kI32:
      return load<std::int32_t>(at);
    case GgufType::kI64:
      return load<std::int64_t>(at);
    case GgufType::kU64: {
      const auto value = load<std::uint64_t>(at);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> load_number(GgufType type, const char* at) {
  if (type == GgufType::kF32) return load<float>(at);
  if (type == GgufType::kF64) return load<double>(at);
  if (const auto integer = load_integer(type, at)) return static_cast<double>(*integer);
  return std::nullopt;
}

template <typename T, typename Load>
std::optional<std::vector<T>> load_all(const GgufValue& value, Load load_one) {
  if (!value.array) return std::nullopt;
  const std::size_t size = gguf_type_bytes(value.type);
  std::vector<T> all;
  all.reserve(size == 0 ? 0 : value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    const std::optional<T> one = load_one(value.type, value.bytes.data() + i * size);
    if (!one) return std::nullopt;
    all.push_back(*one);
  }
  return all;
}

template <typename T>
GgufValue make_scalar(GgufType type, T value) {
  GgufValue made{type, false, 1, {}};
  append(made.bytes, value);
  return made;
}

template <typename T>
GgufValue make_array(GgufType type, std::span<const T> values) {
  GgufValue made{type, true, values.size(), {}};
  for (const T value : values) append(made.bytes, value);
  return made;
}

}  // namespace

std::size_t gguf_type_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    default:
      return 0;
  }
}

GgufValue GgufValue::of(std::uint32_t value) {
  return make_scalar(GgufType::kU32, value);
}
GgufValue GgufValue::of(float value) {
  return make_scalar(GgufType::kF32, value);
}
GgufValue GgufValue::of_bool(bool value) {
  return make_scalar<std::uint8_t>(GgufType::kBool, value ? 1 : 0);
}
GgufValue GgufValue::of_floats(std::span<const float> values) {
  return make_array(GgufType::kF32, values);
}
GgufValue GgufValue::of_ints(std::span<const std::int32_t> values) {
  return make_array(GgufType::kI32, values);
}

GgufValue GgufValue::of_text(std::string_view value) {
  GgufValue made{GgufType::kString, false, 1, {}};
  append_text(made.bytes, value);
  return made;
}

GgufValue GgufValue::of_texts(std::span<const std::string> values) {
  GgufValue made{GgufType::kString, true, values.size(), {}};
  for (const std::string& value : values) append_text(made.bytes, value);
  return made;
}

std::optional<std::int64_t> GgufValue::integer() const {
  return array ? std::nullopt : load_integer(type, bytes.data());
}

std::optional<double> GgufValue::number() const {
  return array ? std::nullopt : load_number(type, bytes.data());
}

std::optional<bool> GgufValue::boolean() const {
  if (array || type != GgufType::kBool) return std::nullopt;
  return bytes[0] != 0;
}

std::optional<std::string> GgufValue::text() const {
  if (array || type != GgufType::kString) return std::nullopt;
  return bytes.substr(sizeof(std::uint64_t));
}

std::optional<std::vector<std::string>> GgufValue::texts() const {
  if (!array || type != GgufType::kString) return std::nullopt;
  std::vector<std::string> all;
  all.reserve(count);
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto length = load<std::uint64_t>(bytes.data() + at);
    all.push_back(bytes.substr(at + sizeof(length), length));
    at += sizeof(length) + length;
  }
  return all;
}

std::optional<std::vector<std::int64_t>> GgufValue::integers() const {
  return load_all<std::int64_t>(*this, load_integer);
}

std::optional<std::vector<bool>> GgufValue::booleans() const {
  if (!array || type != GgufType::kBool) return std::nullopt;
  std::vector<bool> all;
  for (const char byte : bytes) all.push_back(byte != 0);
  return all;
}

std::optional<std::vector<double>> GgufValue::numbers() const {
  return load_all<double>(*this, load_number);
}

}  // namespace stepdown::formats
