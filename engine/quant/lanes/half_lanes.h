#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "engine/base/half.h"
#include "engine/quant/lanes/vector_of.h"

// Registers of binary16: by the processor's own conversions where it has them, which round as ours do.
namespace stepdown::quant {

/// Exact, subnormals, infinities and what is no number included.
template <std::size_t Width>
typename VectorOf<Width>::Floats from_halves(const typename VectorOf<Width>::Halves& halves) {
  using V = VectorOf<Width>;
#if defined(__AVX512F__)
  if constexpr (Width == 16) return _mm512_cvtph_ps(reinterpret_cast<__m256i>(halves));
#endif
#if defined(__F16C__)
  if constexpr (Width == 8) return _mm256_cvtph_ps(reinterpret_cast<__m128i>(halves));
#endif
  typename V::Floats floats;
  for (std::size_t lane = 0; lane < Width; ++lane) floats[lane] = f16_to_f32(halves[lane]);
  return floats;
}

/// To the nearest, of two the even one.
template <std::size_t Width>
typename VectorOf<Width>::Halves to_halves(const typename VectorOf<Width>::Floats& floats) {
  using V = VectorOf<Width>;
#if defined(__AVX512F__)
  if constexpr (Width == 16)
    return reinterpret_cast<typename V::Halves>(_mm512_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT));
#endif
#if defined(__F16C__)
  if constexpr (Width == 8)
    return reinterpret_cast<typename V::Halves>(_mm256_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT));
#endif
  typename V::Halves halves;
  for (std::size_t lane = 0; lane < Width; ++lane) halves[lane] = f32_to_f16(floats[lane]);
  return halves;
}

}  // namespace stepdown::quant
