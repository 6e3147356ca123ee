#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace stepdown::quant {

/// Codes of a byte each → their `Bits` bits from bit `shift` on, side by side: of n packed bytes, byte i
/// takes those of the codes i, i + n, i + 2n …, the first lowest. Eight bytes at a time, so n is a multiple
/// of 8.
template <int Bits>
void pack_bits(std::span<const std::uint8_t> codes, int shift, std::span<std::uint8_t> packed) {
  constexpr std::uint64_t kMask = 0x0101010101010101 * ((1u << Bits) - 1);
  for (std::size_t at = 0; at < packed.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t bytes = 0;
    for (std::size_t k = 0; k < 8 / Bits; ++k) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, codes.data() + k * packed.size() + at, sizeof eight);
      bytes |= (eight >> shift & kMask) << (k * Bits);
    }
    std::memcpy(packed.data() + at, &bytes, sizeof bytes);
  }
}

}  // namespace stepdown::quant
