#include "engine/quant/lanes/searches_of.h"

namespace stepdown::quant {

const Searches* avx2_searches() {
#if defined(__AVX2__)
  static constexpr Searches kRow = searches_of<8>(
      "avx2", [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0; });
  return &kRow;
#else
  return nullptr;
#endif
}

}  // namespace stepdown::quant
