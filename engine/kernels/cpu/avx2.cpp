#include "engine/kernels/cpu/instruction_sets.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <cstring>

#include <immintrin.h>

#include "engine/kernels/cpu/operations_of.h"
#include "engine/kernels/cpu/peak_loops_of.h"

namespace stepdown::kernels {
namespace {

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  // vpmaddubsw saturates where a pair of products passes 32,767: codes of up to 7 bits are safe (2 · 127 ·
  // 127), 8-bit ones are taken as signed instead, their sign moved to the other operand (2 · 128 · 127).
  static constexpr int kEightBitOffset = 0;
  static bool prefetches_one_row() { return __builtin_cpu_is("intel") != 0; }
  using Bytes = __m256i;
  using Ints = __m256i;
  using Floats = __m256;

  static Bytes load_bytes(const std::byte* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  template <int kShift, int kMask>
  static Bytes field(Bytes word) {
    if constexpr (kShift > 0) word = _mm256_srli_epi16(word, kShift);
    if constexpr (kShift < 0) word = _mm256_slli_epi16(word, -kShift);
    return _mm256_and_si256(word, _mm256_set1_epi8(kMask));
  }
  static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static Ints int_zero() { return _mm256_setzero_si256(); }
  template <int kShift>
  static Ints broadcast_shifted(const std::int32_t& value) {
    return _mm256_srai_epi32(_mm256_set1_epi32(value), kShift);
  }
  template <int kBits>
  static Ints dot4(Ints sum, Bytes weight, const std::int8_t* codes) {
    std::int32_t four = 0;
    std::memcpy(&four, codes, sizeof four);
    __m256i other = _mm256_set1_epi32(four);
    if constexpr (kBits == 8) {
      const __m256i centred = _mm256_xor_si256(weight, _mm256_set1_epi8(static_cast<char>(0x80)));
      other = _mm256_sign_epi8(other, centred);
      weight = _mm256_abs_epi8(centred);
    }
    const __m256i pairs = _mm256_maddubs_epi16(weight, other);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static Ints add_ints(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Floats to_float(Ints a) { return _mm256_cvtepi32_ps(a); }

  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats broadcast(float value) { return _mm256_set1_ps(value); }
  static Floats load(const float* at) { return _mm256_loadu_ps(at); }
  static void store(float* at, Floats a) { _mm256_storeu_ps(at, a); }
  static __m128i load_halves(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static Floats load_f16(const std::byte* at) { return _mm256_cvtph_ps(load_halves(at)); }
  static Floats load_bf16(const std::byte* at) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(at)), 16));
  }
  static Floats load_i8(const std::byte* at) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at))));
  }
  // E4M3's bits at binary16's places: sign, four of five exponent bits, mantissa.
  static Floats load_f8(const std::byte* at) {
    const __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
    const __m128i kept = _mm_set1_epi16(static_cast<std::int16_t>(0xBF80));
    return _mm256_cvtph_ps(_mm_and_si128(_mm_slli_epi16(wide, 7), kept));
  }
  static Floats load_i4(const std::byte* at) {
    std::int32_t four = 0;
    std::memcpy(&four, at, sizeof four);
    const __m256i pairs = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    const __m256i codes = _mm256_or_si256(pairs, _mm256_slli_epi64(pairs, 28));  // a code every 32 bits
    return _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_and_si256(codes, _mm256_set1_epi32(15))),
                         _mm256_set1_ps(kInt4Zero));
  }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats maximum(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static float sum(Floats a) {  // in halves: lanes i and i + 4, then i + 2, …
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float largest(Floats a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  // As in avx512.cpp; the power of two goes in by way of the exponent bits, in two halves so that it may be
  // subnormal.
  static Floats exp(Floats x) {
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), _mm256_min_ps(_mm256_set1_ps(90.0f), x));
    const Floats n =
        _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    Floats r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    Floats p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    p = _mm256_mul_ps(p, power_of_two(half));
    return _mm256_mul_ps(p, power_of_two(_mm256_sub_epi32(whole, half)));
  }
  static Floats power_of_two(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }

  static std::uint32_t max_magnitude_bits(const float* x) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < kBlock; i += kLanes) {
      largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(load(x + i)), magnitude));
    }
    __m128i half = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(half));
  }
  static void round_block(const float* x, float inverse, std::int8_t* codes, int& low, int& high) {
    for (int i = 0; i < kBlock; i += kLanes) {
      const __m256i rounded = _mm256_cvtps_epi32(_mm256_mul_ps(load(x + i), broadcast(inverse)));
      const __m128i words =
          _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(codes + i), _mm_packs_epi16(words, words));
      int total = 0;
      for (int k = i; k < i + kLanes; ++k) total += codes[k];
      (i < kBlock / 2 ? low : high) += total;
    }
  }
};

bool supported() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}

}  // namespace

const Operations* avx2_operations() {
  static constexpr Operations kRow = operations_of<Avx2>("avx2", supported);
  return &kRow;
}
const PeakLoops* avx2_peak_loops() {
  static constexpr PeakLoops kLoops = peak_loops_of<Avx2>();
  return &kLoops;
}

}  // namespace stepdown::kernels

#else

namespace stepdown::kernels {
const Operations* avx2_operations() {
  return nullptr;
}
const PeakLoops* avx2_peak_loops() {
  return nullptr;
}
}  // namespace stepdown::kernels

#endif
