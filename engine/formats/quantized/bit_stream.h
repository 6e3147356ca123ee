#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stepdown::formats {

/// Codes of `bits` (1 to 8) each as a stream of 32-bit words, lowest bit first: 32 codes fill exactly `bits`
/// words, codes of 3 bits straddle them. The packing of GPTQ, AWQ's words and compressed-tensors.
constexpr std::size_t packed_words(std::size_t count, int bits) {
  return (count * static_cast<std::size_t>(bits) + 31) / 32;
}

inline void put_code(std::span<std::uint32_t> words, std::size_t index, int bits, std::uint32_t code) {
  const std::size_t bit = index * static_cast<std::size_t>(bits);
  const std::uint64_t shifted = std::uint64_t{code} << (bit % 32);
  words[bit / 32] |= static_cast<std::uint32_t>(shifted);
  if (const auto high = static_cast<std::uint32_t>(shifted >> 32); high != 0) words[bit / 32 + 1] |= high;
}

inline std::uint32_t get_code(std::span<const std::uint32_t> words, std::size_t index, int bits) {
  const std::size_t bit = index * static_cast<std::size_t>(bits);
  std::uint64_t window = words[bit / 32];
  if (bit / 32 + 1 < words.size()) window |= std::uint64_t{words[bit / 32 + 1]} << 32;
  return static_cast<std::uint32_t>(window >> (bit % 32)) & ((1u << bits) - 1u);
}

}  // namespace stepdown::formats
