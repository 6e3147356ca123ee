#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/tensor.h"
#include "engine/formats/gguf_metadata.h"

namespace stepdown::formats {

inline constexpr std::uint32_t kGgufMagic = 0x46554747;  // "GGUF"
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint32_t kGgufDefaultAlignment = 32;
inline constexpr std::size_t kGgufMaxDimensions = 4;

struct GgufHeader {
  GgufMetadata metadata;
  std::vector<TensorView> tensors;  ///< views into the parsed bytes, in file order
  std::uint32_t alignment = kGgufDefaultAlignment;
};

/// Reads GGUF versions 2 and 3 (little-endian). `file` names the bytes in errors. Checks every length, and
/// that every tensor lies whole inside the file. Throws InputError.
GgufHeader parse_gguf(std::span<const std::byte> bytes, const std::string& file);

/// `value` rounded up to a multiple of `alignment`.
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace stepdown::formats
