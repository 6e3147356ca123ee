#include "engine/kernels/unpack_block.h"

#include <cmath>
#include <cstring>

#include "engine/base/half.h"
#include "engine/kernels/blocks.h"

namespace stepdown::kernels {
namespace {

using Bytes = const std::uint8_t*;

std::uint16_t half_at(Bytes bytes) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

std::uint16_t negated(std::uint16_t half) {
  return half ^ 0x8000u;
}

// 32 four-bit codes in 16 bytes: low nibbles are the first half. `high` holds the fifth bits or is null.
void nibbles(Bytes codes, Bytes high, UnpackedBlock& out) {
  std::uint32_t fifth = 0;
  if (high != nullptr) std::memcpy(&fifth, high, sizeof fifth);
  for (unsigned i = 0; i < 16; ++i) {
    out.codes[i] = static_cast<std::uint8_t>((codes[i] & 15u) | ((fifth >> i & 1u) << 4));
    out.codes[i + 16] = static_cast<std::uint8_t>((codes[i] >> 4) | ((fifth >> (i + 16) & 1u) << 4));
  }
}

void unpack_q4_0(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  nibbles(block + 2, nullptr, out);
}

void unpack_q4_1(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  out.minimum = half_at(block + 2);
  nibbles(block + 4, nullptr, out);
}

void unpack_q5_0(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  nibbles(block + 6, block + 2, out);
}

void unpack_q5_1(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  out.minimum = half_at(block + 2);
  nibbles(block + 8, block + 4, out);
}

void unpack_q8_0(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  for (unsigned i = 0; i < 32; ++i) out.codes[i] = block[2 + i] ^ 0x80u;
}

// Codes of 2 bits: each run of 32 bytes holds four groups of 32 columns.
std::uint8_t crumb(Bytes codes, unsigned column) {
  const unsigned half = column / 128;
  const unsigned shift = column % 128 / 32 * 2;
  return (codes[half * 32 + column % 32] >> shift) & 3u;
}

void unpack_q2_k(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block + 80);
  out.minimum = negated(half_at(block + 82));
  for (unsigned i = 0; i < 16; ++i) {
    out.scales[i] = static_cast<std::int8_t>(block[i] & 15u);
    out.minima[i] = static_cast<std::int8_t>(block[i] >> 4);
  }
  for (unsigned i = 0; i < 256; ++i) out.codes[i] = crumb(block + 16, i);
}

void unpack_q3_k(Bytes block, UnpackedBlock& out) {
  const Bytes high = block;
  const Bytes codes = block + 32;
  const Bytes scales = block + 96;
  out.scale = half_at(block + 108);
  for (unsigned i = 0; i < 16; ++i) {  // six bits: low four in bytes 0–7, high two in bytes 8–11
    const unsigned low = (scales[i % 8] >> (i / 8 * 4)) & 15u;
    const unsigned top = (scales[8 + i % 4] >> (i / 4 * 2)) & 3u;
    out.scales[i] = static_cast<std::int8_t>(static_cast<int>(low | top << 4) - 32);
  }
  for (unsigned i = 0; i < 256; ++i) {
    out.codes[i] = static_cast<std::uint8_t>(crumb(codes, i) | ((high[i % 32] >> (i / 32) & 1u) << 2));
  }
}

// Eight six-bit scales and minima in 12 bytes, shared by Q4_K and Q5_K.
void unpack_k_scales(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  out.minimum = negated(half_at(block + 2));
  const Bytes packed = block + 4;
  for (unsigned i = 0; i < 4; ++i) {
    out.scales[i] = static_cast<std::int8_t>(packed[i] & 63u);
    out.minima[i] = static_cast<std::int8_t>(packed[i + 4] & 63u);
    out.scales[i + 4] = static_cast<std::int8_t>((packed[i + 8] & 15u) | (packed[i] >> 6) << 4);
    out.minima[i + 4] = static_cast<std::int8_t>((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4);
  }
}

std::uint8_t k_nibble(Bytes codes, unsigned column) {
  return (codes[column / 64 * 32 + column % 32] >> (column % 64 / 32 * 4)) & 15u;
}

void unpack_q4_k(Bytes block, UnpackedBlock& out) {
  unpack_k_scales(block, out);
  for (unsigned i = 0; i < 256; ++i) out.codes[i] = k_nibble(block + 16, i);
}

void unpack_q5_k(Bytes block, UnpackedBlock& out) {
  unpack_k_scales(block, out);
  const Bytes high = block + 16;
  for (unsigned i = 0; i < 256; ++i) {
    const unsigned fifth = high[i % 32] >> (i / 32) & 1u;
    out.codes[i] = static_cast<std::uint8_t>(k_nibble(block + 48, i) | fifth << 4);
  }
}

void unpack_q6_k(Bytes block, UnpackedBlock& out) {
  const Bytes low = block;
  const Bytes high = block + 128;
  out.scale = half_at(block + 208);
  std::memcpy(out.scales.data(), block + 192, 16);
  for (unsigned i = 0; i < 256; ++i) {
    const unsigned half = i / 128;
    const unsigned quarter = i % 128 / 32;
    const unsigned nibble = low[half * 64 + i % 64] >> (quarter / 2 * 4) & 15u;
    const unsigned top = high[half * 32 + i % 32] >> (quarter * 2) & 3u;
    out.codes[i] = static_cast<std::uint8_t>(nibble | top << 4);
  }
}

void levels(Bytes codes, std::size_t at, UnpackedBlock& out) {
  for (unsigned i = 0; i < 16; ++i) {
    out.codes[at + i] = static_cast<std::uint8_t>(kIq4Levels[codes[i] & 15u] + 128);
    out.codes[at + 16 + i] = static_cast<std::uint8_t>(kIq4Levels[codes[i] >> 4] + 128);
  }
}

void unpack_iq4_nl(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  levels(block + 2, 0, out);
}

void unpack_iq4_xs(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  const unsigned high = half_at(block + 2);
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned low = block[4 + i / 2] >> (i % 2 * 4) & 15u;
    out.scales[i] = static_cast<std::int8_t>(static_cast<int>(low | (high >> (2 * i) & 3u) << 4) - 32);
    levels(block + 8 + std::size_t{16} * i, std::size_t{32} * i, out);
  }
}

// A ternary type's one scale, once for each group.
void one_scale(std::uint16_t scale, UnpackedBlock& out) {
  out.scale = scale;
  out.scales.fill(1);
}

void unpack_tq1_0(Bytes bytes, UnpackedBlock& out) {
  BlockTQ1_0 block;
  std::memcpy(&block, bytes, sizeof block);
  one_scale(block.d, out);
  for (unsigned i = 0; i < 256; ++i) out.codes[i] = tq1_code(block.codes, block.tail, i);
}

void unpack_tq2_0(Bytes block, UnpackedBlock& out) {
  one_scale(half_at(block + 64), out);
  for (unsigned i = 0; i < 256; ++i) out.codes[i] = crumb(block, i);
}

void unpack_mxfp4(Bytes block, UnpackedBlock& out) {
  out.scale = f32_to_f16(std::ldexp(1.0f, block[0] - 128));
  for (unsigned i = 0; i < 16; ++i) {
    out.codes[i] = static_cast<std::uint8_t>(kMxfp4Levels[block[1 + i] & 15u] + 128);
    out.codes[i + 16] = static_cast<std::uint8_t>(kMxfp4Levels[block[1 + i] >> 4] + 128);
  }
}

template <void (*kUnpack)(Bytes, UnpackedBlock&)>
void typed(const std::byte* block, UnpackedBlock& out) {
  kUnpack(reinterpret_cast<Bytes>(block), out);
}

}  // namespace

UnpackBlock unpack_block(std::size_t index) {
  static constexpr std::array<UnpackBlock, kPackings.size()> kUnpackers = {
      typed<unpack_q4_0>,  typed<unpack_q4_1>,  typed<unpack_q5_0>,   typed<unpack_q5_1>,
      typed<unpack_q8_0>,  typed<unpack_q2_k>,  typed<unpack_q3_k>,   typed<unpack_q4_k>,
      typed<unpack_q5_k>,  typed<unpack_q6_k>,  typed<unpack_iq4_nl>, typed<unpack_iq4_xs>,
      typed<unpack_tq1_0>, typed<unpack_tq2_0>, typed<unpack_mxfp4>};
  return kUnpackers.at(index);
}

}  // namespace stepdown::kernels
