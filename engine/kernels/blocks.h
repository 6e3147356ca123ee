#pragma once

#include <array>
#include <cstdint>

namespace stepdown::kernels {

/// The stored blocks of ggml's quantized types (ggml-common.h, docs/gguf.md), byte for byte. `d` is the scale
/// and `m` or `dmin` the minimum's scale, as binary16 bits. Blocks of 32 elements:

struct BlockQ4_0 {  ///< (code − 8) · d; byte j holds code j low and code j + 16 high
  std::uint16_t d;
  std::array<std::uint8_t, 16> codes;
};
struct BlockQ4_1 {  ///< code · d + m
  std::uint16_t d, m;
  std::array<std::uint8_t, 16> codes;
};
struct BlockQ5_0 {  ///< (code − 16) · d; bit j of `high` is bit 4 of code j
  std::uint16_t d;
  std::array<std::uint8_t, 4> high;
  std::array<std::uint8_t, 16> codes;
};
struct BlockQ5_1 {  ///< code · d + m
  std::uint16_t d, m;
  std::array<std::uint8_t, 4> high;
  std::array<std::uint8_t, 16> codes;
};
struct BlockQ8_0 {  ///< code · d
  std::uint16_t d;
  std::array<std::int8_t, 32> codes;
};
struct BlockIQ4_NL {  ///< kIq4Levels[code] · d
  std::uint16_t d;
  std::array<std::uint8_t, 16> codes;
};

struct BlockMXFP4 {  ///< kMxfp4Levels[code] · 2^(exponent − 128): OCP's microscaling FP4, levels doubled
  std::uint8_t exponent;
  std::array<std::uint8_t, 16> codes;
};

/// Blocks of 256 elements, in groups of 16 or 32 with integer scales of their own.

struct BlockQ2_K {  ///< 16 a group: scales hold the scale low and the minimum high
  std::array<std::uint8_t, 16> scales;
  std::array<std::uint8_t, 64> codes;
  std::uint16_t d, dmin;
};
struct BlockQ3_K {  ///< 16 a group: (code − 4) · (scale − 32) · d; `high` holds bit 2 of the codes
  std::array<std::uint8_t, 32> high;
  std::array<std::uint8_t, 64> codes;
  std::array<std::uint8_t, 12> scales;
  std::uint16_t d;
};
struct BlockQ4_K {  ///< 32 a group: code · scale · d − minimum · dmin
  std::uint16_t d, dmin;
  std::array<std::uint8_t, 12> scales;
  std::array<std::uint8_t, 128> codes;
};
struct BlockQ5_K {  ///< as Q4_K; bit g of high[j] is bit 4 of code j of group g
  std::uint16_t d, dmin;
  std::array<std::uint8_t, 12> scales;
  std::array<std::uint8_t, 32> high;
  std::array<std::uint8_t, 128> codes;
};
struct BlockQ6_K {  ///< 16 a group: (code − 32) · scale · d
  std::array<std::uint8_t, 128> codes;
  std::array<std::uint8_t, 64> high;
  std::array<std::int8_t, 16> scales;
  std::uint16_t d;
};
struct BlockIQ4_XS {  ///< 32 a group: kIq4Levels[code] · (scale − 32) · d
  std::uint16_t d;
  std::uint16_t scales_high;
  std::array<std::uint8_t, 4> scales_low;
  std::array<std::uint8_t, 128> codes;
};

/// Ternary blocks of 256 elements: (code − 1) · d with codes 0, 1, 2.

struct BlockTQ1_0 {  ///< five codes a byte, base 3 as a fraction of 256; the last 16 four a byte in `tail`
  std::array<std::uint8_t, 48> codes;
  std::array<std::uint8_t, 4> tail;
  std::uint16_t d;
};
struct BlockTQ2_0 {  ///< elements i, i + 32, i + 64, i + 96 of each 128 share byte i
  std::array<std::uint8_t, 64> codes;
  std::uint16_t d;
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);
static_assert(sizeof(BlockTQ1_0) == 54 && sizeof(BlockTQ2_0) == 66 && sizeof(BlockMXFP4) == 17);

/// The non-linear 4-bit levels of IQ4_NL and IQ4_XS.
inline constexpr std::array<std::int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                           1,    13,   25,  38,  53,  69,  89,  113};

/// E2M1's values, doubled so that they are integers.
inline constexpr std::array<std::int8_t, 16> kMxfp4Levels = {0, 1,  2,  3,  4,  6,  8,  12,
                                                             0, -1, -2, -3, -4, -6, -8, -12};

/// Digit `index` (0 the first) of a byte of TQ1_0: multiplying by a power of 3 brings it to the top.
constexpr std::uint8_t tq1_code(std::uint8_t byte, unsigned index) {
  constexpr std::array<std::uint8_t, 5> kPowers = {1, 3, 9, 27, 81};
  const auto shifted = static_cast<std::uint8_t>(byte * kPowers[index]);
  return static_cast<std::uint8_t>(shifted * 3u >> 8);
}
/// Code of element i of a block: bytes 0…31 hold the first 160, bytes 32…47 the next 80, the tail the rest.
constexpr std::uint8_t tq1_code(const std::array<std::uint8_t, 48>& codes,
                                const std::array<std::uint8_t, 4>& tail, unsigned i) {
  if (i < 160) return tq1_code(codes[i % 32], i / 32);
  if (i < 240) return tq1_code(codes[32 + (i - 160) % 16], (i - 160) / 16);
  return tq1_code(tail[(i - 240) % 4], (i - 240) / 4);
}

/// Six-bit scale and minimum of one group of Q4_K or Q5_K: groups 0…3 whole in bytes 0…7, groups 4…7 with
/// their low nibbles in bytes 8…11 and their upper two bits on top of bytes 0…7.
struct ScaleAndMinimum {
  std::uint8_t scale, minimum;
};
constexpr ScaleAndMinimum unpack_scale(const std::array<std::uint8_t, 12>& packed, unsigned group) {
  if (group < 4) {
    return {static_cast<std::uint8_t>(packed[group] & 63), static_cast<std::uint8_t>(packed[group + 4] & 63)};
  }
  const std::uint8_t low = packed[group + 4];
  return {static_cast<std::uint8_t>((low & 15) | (packed[group - 4] >> 6 << 4)),
          static_cast<std::uint8_t>((low >> 4) | (packed[group] >> 6 << 4))};
}

/// Six-bit scale of one of Q3_K's 16 groups, with its offset of 32 still in.
constexpr int unpack_q3_scale(const std::array<std::uint8_t, 12>& packed, unsigned group) {
  const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
  const int high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
  return low | high << 4;
}

}  // namespace stepdown::kernels
