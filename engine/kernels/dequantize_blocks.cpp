#include "engine/kernels/dequantize_blocks.h"

#include <cmath>

#include "engine/base/half.h"

namespace stepdown::kernels {
namespace {

/// Code `i` of 32 when byte j holds code j in its low nibble and code j + 16 in its high one.
int nibble(const std::array<std::uint8_t, 16>& codes, unsigned i) {
  return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4;
}

int fifth_bit(const std::array<std::uint8_t, 4>& high, unsigned i) {
  return (high[i / 8] >> (i % 8) & 1) << 4;
}

/// Code `i` of 256 when each 64 elements share 32 bytes: the first 32 in low nibbles, the others in high
/// ones.
int nibble(const std::array<std::uint8_t, 128>& codes, unsigned i) {
  const std::uint8_t byte = codes[i / 64 * 32 + i % 32];
  return i % 64 < 32 ? byte & 15 : byte >> 4;
}

/// Code `i` of 256 when each 128 elements share 32 bytes, 32 elements a pair of bits.
int bit_pair(const std::array<std::uint8_t, 64>& codes, unsigned i) {
  return codes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

int q3_code(const BlockQ3_K& block, unsigned i) {
  const bool high = (block.high[i % 32] >> (i / 32) & 1) != 0;
  return bit_pair(block.codes, i) - (high ? 0 : 4);
}

int q6_code(const BlockQ6_K& block, unsigned i) {
  const unsigned quarter = i % 128 / 32;
  const std::uint8_t byte = block.codes[i / 128 * 64 + quarter % 2 * 32 + i % 32];
  const int low = quarter < 2 ? byte & 15 : byte >> 4;
  return (low | bit_pair(block.high, i) << 4) - 32;
}

}  // namespace

void decode_block(const BlockQ4_0& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block.codes, i) - 8) * d;
}

void decode_block(const BlockQ4_1& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  for (unsigned i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block.codes, i)) * d + m;
}

void decode_block(const BlockQ5_0& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 32; ++i) {
    out[i] = static_cast<float>((nibble(block.codes, i) | fifth_bit(block.high, i)) - 16) * d;
  }
}

void decode_block(const BlockQ5_1& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  for (unsigned i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(nibble(block.codes, i) | fifth_bit(block.high, i)) * d + m;
  }
}

void decode_block(const BlockQ8_0& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 32; ++i) out[i] = static_cast<float>(block.codes[i]) * d;
}

void decode_block(const BlockIQ4_NL& block, std::span<float, 32> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(kIq4Levels[static_cast<unsigned>(nibble(block.codes, i))]);
  }
}

void decode_block(const BlockQ2_K& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (unsigned i = 0; i < 256; ++i) {
    const std::uint8_t packed = block.scales[i / 16];
    const float scale = d * static_cast<float>(packed & 15);
    const float minimum = dmin * static_cast<float>(packed >> 4);
    out[i] = scale * static_cast<float>(bit_pair(block.codes, i)) - minimum;
  }
}

void decode_block(const BlockQ3_K& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 256; ++i) {
    const float scale = d * static_cast<float>(unpack_q3_scale(block.scales, i / 16) - 32);
    out[i] = scale * static_cast<float>(q3_code(block, i));
  }
}

void decode_block(const BlockQ4_K& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (unsigned i = 0; i < 256; ++i) {
    const auto [scale, minimum] = unpack_scale(block.scales, i / 32);
    out[i] = d * static_cast<float>(scale) * static_cast<float>(nibble(block.codes, i)) -
             dmin * static_cast<float>(minimum);
  }
}

void decode_block(const BlockQ5_K& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (unsigned i = 0; i < 256; ++i) {
    const auto [scale, minimum] = unpack_scale(block.scales, i / 32);
    const int code = nibble(block.codes, i) | (block.high[i % 32] >> (i / 32) & 1) << 4;
    out[i] = d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(minimum);
  }
}

void decode_block(const BlockQ6_K& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 256; ++i) {
    out[i] = d * static_cast<float>(block.scales[i / 16]) * static_cast<float>(q6_code(block, i));
  }
}

void decode_block(const BlockIQ4_XS& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 256; ++i) {
    const unsigned group = i / 32;
    const int low = block.scales_low[group / 2] >> (4 * (group % 2)) & 15;
    const int high = block.scales_high >> (2 * group) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    const std::uint8_t byte = block.codes[group * 16 + i % 16];
    out[i] = scale * static_cast<float>(kIq4Levels[i % 32 < 16 ? byte & 15 : byte >> 4]);
  }
}

void decode_block(const BlockTQ1_0& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 256; ++i) {
    out[i] = static_cast<float>(tq1_code(block.codes, block.tail, i) - 1) * d;
  }
}

void decode_block(const BlockTQ2_0& block, std::span<float, 256> out) {
  const float d = f16_to_f32(block.d);
  for (unsigned i = 0; i < 256; ++i) {
    out[i] = static_cast<float>(bit_pair(block.codes, i) - 1) * d;
  }
}

void decode_block(const BlockMXFP4& block, std::span<float, 32> out) {
  const float d = std::ldexp(1.0f, block.exponent - 128);
  for (unsigned i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(kMxfp4Levels[block.codes[i] & 15]) * d;
    out[i + 16] = static_cast<float>(kMxfp4Levels[block.codes[i] >> 4]) * d;
  }
}

}  // namespace stepdown::kernels
