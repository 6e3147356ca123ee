#pragma once

#include <cstring>

#include <immintrin.h>

#include "engine/kernels/packing.h"

// BF16 weights times inputs rounded to BF16, for files that are compiled for AVX-512 BF16. Instructions of
// this kind take the products of two neighbouring columns at once; each file gets its own copy.
namespace stepdown::kernels {
namespace {

/// Two columns of a tile, each of 16 rows one behind the other → 16 rows of two columns.
inline __m512i bf16_pairs(const std::byte* columns) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), _mm512_loadu_si512(columns));
}

/// `columns` floats rounded to BF16, then zeros up to a multiple of 32.
inline void round_to_bf16(const float* row, std::int64_t columns, std::uint16_t* out) {
  const auto round = [&](std::int64_t at, __mmask16 low, __mmask16 high) __attribute__((always_inline)) {
    const __m512 first = _mm512_maskz_loadu_ps(low, row + at);
    const __m512 last = _mm512_maskz_loadu_ps(high, row + at + 16);
    const __m512bh both = _mm512_cvtne2ps_pbh(last, first);
    std::memcpy(out + at, &both, sizeof both);
  };
  std::int64_t at = 0;
  for (; at + 32 <= columns; at += 32) round(at, 0xffff, 0xffff);
  if (const std::int64_t left = columns - at; left > 0) {
    const std::uint32_t mask = (1u << left) - 1;
    round(at, static_cast<__mmask16>(mask), static_cast<__mmask16>(mask >> 16));
  }
}

}  // namespace
}  // namespace stepdown::kernels
