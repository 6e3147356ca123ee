#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/base/error.h"

namespace stepdown::formats {

/// A bounds-checked cursor over little-endian bytes of a named file. Every read that would pass the end
/// throws InputError with the file, the byte and what was being read.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  template <typename T>
  T read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// A u64 length and that many bytes.
  std::string_view read_string(std::string_view what) {
    const auto length = read<std::uint64_t>(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      fail(std::string(what) + " needs " + std::to_string(count) + " bytes but the file ends after " +
               std::to_string(remaining()),
           "the file is truncated or its header lies; copy or download it again");
    }
    const auto taken = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += taken.size();
    return taken;
  }

  /// `count` items of `size` bytes each, without the product overflowing.
  std::span<const std::byte> take_items(std::uint64_t count, std::size_t size, std::string_view what) {
    return take(count > remaining() / size ? UINT64_MAX : count * size, what);
  }

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  std::span<const std::byte> since(std::size_t start) const {
    return bytes_.subspan(start, position_ - start);
  }

  [[noreturn]] void fail(const std::string& what, const std::string& mend) const {
    throw InputError(what, file_ + ": byte " + std::to_string(position_), mend);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
  std::size_t position_ = 0;
};

}  // namespace stepdown::formats
