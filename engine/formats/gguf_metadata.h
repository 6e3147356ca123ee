#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::formats {

/// GGUF's value types (ggml docs/gguf.md, `gguf_metadata_value_type`).
enum class GgufType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// Bytes of one value of a fixed-size type; 0 for strings, arrays and unknown numbers.
std::size_t gguf_type_bytes(GgufType type);

/// One metadata value, kept as its stored little-endian payload so that copying a file loses nothing.
struct GgufValue {
  GgufType type = GgufType::kU32;  ///< of the value, or of the elements when `array`
  bool array = false;
  std::uint64_t count = 1;
  std::string bytes;

  static GgufValue of(std::uint32_t value);
  static GgufValue of(float value);
  static GgufValue of_bool(bool value);
  static GgufValue of_text(std::string_view value);
  static GgufValue of_texts(std::span<const std::string> values);
  static GgufValue of_floats(std::span<const float> values);
  static GgufValue of_ints(std::span<const std::int32_t> values);

  /// nullopt when the value is of another kind. Integers of any width; a bool is no integer.
  std::optional<std::int64_t> integer() const;
  std::optional<double> number() const;
  std::optional<bool> boolean() const;
  std::optional<std::string> text() const;
  std::optional<std::vector<std::string>> texts() const;
  std::optional<std::vector<std::int64_t>> integers() const;
  std::optional<std::vector<bool>> booleans() const;
  std::optional<std::vector<double>> numbers() const;
};

using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

}  // namespace stepdown::formats
