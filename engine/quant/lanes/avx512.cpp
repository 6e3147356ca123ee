#include "engine/quant/lanes/searches_of.h"

namespace stepdown::quant {

const Searches* avx512_searches() {
#if defined(__AVX512F__)
  static constexpr Searches kRow =
      searches_of<16>("avx512", [] { return __builtin_cpu_supports("avx512f") != 0; });
  return &kRow;
#else
  return nullptr;
#endif
}

}  // namespace stepdown::quant
