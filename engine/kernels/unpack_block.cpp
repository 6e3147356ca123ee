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

// Loops over kCount bytes are written for the compiler to make vectors of: it must know that nothing
// overlaps.
template <unsigned kCount>
void low_and_high(Bytes __restrict codes, std::uint8_t* __restrict low, std::uint8_t* __restrict high) {
  for (unsigned i = 0; i < kCount; ++i) {
    low[i] = codes[i] & 15u;
    high[i] = codes[i] >> 4;
  }
}

// Joins `width` bits of each byte, from bit `bit` on, to 32 codes as their bits from `at` on.
void join_bits(Bytes __restrict from, unsigned bit, unsigned width, unsigned at,
               std::uint8_t* __restrict codes) {
  const unsigned mask = (1u << width) - 1u;
  for (unsigned i = 0; i < 32; ++i)
    codes[i] = static_cast<std::uint8_t>(codes[i] | (from[i] >> bit & mask) << at);
}

// 32 four-bit codes in 16 bytes: low nibbles are the first half.
void nibbles(Bytes codes, UnpackedBlock& out) {
  low_and_high<16>(codes, out.codes.data(), out.codes.data() + 16);
}

// The same, with their fifth bits in 4 bytes.
void nibbles(Bytes codes, Bytes high, UnpackedBlock& out) {
  nibbles(codes, out);
  std::uint32_t fifth = 0;
  std::memcpy(&fifth, high, sizeof fifth);
  std::uint8_t* to = out.codes.data();
  for (unsigned i = 0; i < 32; ++i) to[i] = static_cast<std::uint8_t>(to[i] | (fifth >> i & 1u) << 4);
}

void unpack_q4_0(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  nibbles(block + 2, out);
}

void unpack_q4_1(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block);
  out.minimum = half_at(block + 2);
  nibbles(block + 4, out);
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
void crumbs(Bytes codes, UnpackedBlock& out) {
  out.codes.fill(0);
  for (unsigned group = 0; group < 8; ++group)
    join_bits(codes + group / 4 * 32, group % 4 * 2, 2, 0, out.codes.data() + group * 32);
}

void unpack_q2_k(Bytes block, UnpackedBlock& out) {
  out.scale = half_at(block + 80);
  out.minimum = negated(half_at(block + 82));
  for (unsigned i = 0; i < 16; ++i) {
    out.scales[i] = static_cast<std::int8_t>(block[i] & 15u);
    out.minima[i] = static_cast<std::int8_t>(block[i] >> 4);
  }
  crumbs(block + 16, out);
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
  crumbs(codes, out);
  for (unsigned group = 0; group < 8; ++group) join_bits(high, group, 1, 2, out.codes.data() + group * 32);
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

void k_nibbles(Bytes codes, UnpackedBlock& out) {
  for (unsigned pair = 0; pair < 4; ++pair)
    low_and_high<32>(codes + pair * 32, out.codes.data() + pair * 64, out.codes.data() + pair * 64 + 32);
}

void unpack_q4_k(Bytes block, UnpackedBlock& out) {
  unpack_k_scales(block, out);
  k_nibbles(block + 16, out);
}

void unpack_q5_k(Bytes block, UnpackedBlock& out) {
  unpack_k_scales(block, out);
  k_nibbles(block + 48, out);
  for (unsigned group = 0; group < 8; ++group)
    join_bits(block + 16, group, 1, 4, out.codes.data() + group * 32);
}

void unpack_q6_k(Bytes block, UnpackedBlock& out) {
  const Bytes low = block;
  const Bytes high = block + 128;
  out.scale = half_at(block + 208);
  std::memcpy(out.scales.data(), block + 192, 16);
  for (unsigned half = 0; half < 2; ++half)
    low_and_high<64>(low + half * 64, out.codes.data() + half * 128, out.codes.data() + half * 128 + 64);
  for (unsigned group = 0; group < 8; ++group)
    join_bits(high + group / 4 * 32, group % 4 * 2, 2, 4, out.codes.data() + group * 32);
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
  crumbs(block, out);
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
