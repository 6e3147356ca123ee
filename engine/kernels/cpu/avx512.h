#pragma once

#include <cstring>

#include <immintrin.h>

#include "engine/kernels/operations.h"

// The vector type of AVX-512 with VNNI, for files that are compiled for it; each gets its own copy, so that
// no code of one instruction set is linked into another's.
namespace stepdown::kernels {
namespace {

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  static constexpr int kEightBitOffset = 128;
  static bool prefetches_one_row() { return __builtin_cpu_is("intel") != 0; }
  using Bytes = __m512i;
  using Ints = __m512i;
  using Floats = __m512;

  static Bytes load_bytes(const std::byte* at) { return _mm512_loadu_si512(at); }
  template <int kShift, int kMask>
  static Bytes field(Bytes word) {
    if constexpr (kShift > 0) word = _mm512_srli_epi16(word, kShift);
    if constexpr (kShift < 0) word = _mm512_slli_epi16(word, -kShift);
    return _mm512_and_si512(word, _mm512_set1_epi8(kMask));
  }
  static Bytes either(Bytes a, Bytes b) { return _mm512_or_si512(a, b); }
  static Ints int_zero() { return _mm512_setzero_si512(); }
  template <int kShift>
  static Ints broadcast_shifted(const std::int32_t& value) {
    return _mm512_srai_epi32(_mm512_set1_epi32(value), kShift);
  }
  // Does not saturate: 4 · 255 · 127 fits the 32-bit lane by far.
  template <int kBits>
  static Ints dot4(Ints sum, Bytes weight, const std::int8_t* codes) {
    std::int32_t four = 0;
    std::memcpy(&four, codes, sizeof four);
    return _mm512_dpbusd_epi32(sum, weight, _mm512_set1_epi32(four));
  }
  static Ints add_ints(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Floats to_float(Ints a) { return _mm512_cvtepi32_ps(a); }

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats broadcast(float value) { return _mm512_set1_ps(value); }
  static Floats load(const float* at) { return _mm512_loadu_ps(at); }
  static void store(float* at, Floats a) { _mm512_storeu_ps(at, a); }
  static __m256i load_halves(const std::byte* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static Floats load_f16(const std::byte* at) { return _mm512_cvtph_ps(load_halves(at)); }
  static Floats load_bf16(const std::byte* at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(at)), 16));
  }
  static Floats load_i8(const std::byte* at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
  }
  // E4M3's bits at binary16's places: sign, four of five exponent bits, mantissa.
  static Floats load_f8(const std::byte* at) {
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    const __m256i kept = _mm256_set1_epi16(static_cast<std::int16_t>(0xBF80));
    return _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(wide, 7), kept));
  }
  static Floats load_i4(const std::byte* at) {
    const __m512i pairs = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
    const __m512i codes = _mm512_or_si512(pairs, _mm512_slli_epi64(pairs, 28));  // a code every 32 bits
    return _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_and_si512(codes, _mm512_set1_epi32(15))),
                         _mm512_set1_ps(kInt4Zero));
  }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats maximum(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static float sum(Floats a) {
    return _mm512_reduce_add_ps(a);
  }  // in halves: lanes i and i + 8, then i + 4, …
  static float largest(Floats a) { return _mm512_reduce_max_ps(a); }

  // 2^n · e^r with |r| ≤ ln 2 / 2, the polynomial of Cephes' expf: relative error below 2e-7. NaN stays NaN.
  static Floats exp(Floats x) {
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(90.0f), x));
    const Floats n =
        _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    Floats r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    Floats p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_scalef_ps(p, n);
  }

  static std::uint32_t max_magnitude_bits(const float* x) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m512i low = _mm512_and_si512(_mm512_castps_si512(load(x)), magnitude);
    const __m512i high = _mm512_and_si512(_mm512_castps_si512(load(x + 16)), magnitude);
    return _mm512_reduce_max_epu32(_mm512_max_epu32(low, high));
  }
  static void round_block(const float* x, float inverse, std::int8_t* codes, int& low, int& high) {
    const Floats factor = broadcast(inverse);
    const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(load(x), factor));
    const __m512i last = _mm512_cvtps_epi32(_mm512_mul_ps(load(x + 16), factor));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtepi32_epi8(first));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm512_cvtepi32_epi8(last));
    low = _mm512_reduce_add_epi32(first);
    high = _mm512_reduce_add_epi32(last);
  }
};

}  // namespace
}  // namespace stepdown::kernels
