#include "engine/kernels/cpu/instruction_sets.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

#include "engine/kernels/cpu/avx512.h"
#include "engine/kernels/cpu/operations_of.h"
#include "engine/kernels/cpu/peak_loops_of.h"

namespace stepdown::kernels {
namespace {

bool supported() {
  return __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("avx2") != 0;
}

}  // namespace

const Operations* avx512_operations() {
  static constexpr Operations kRow = operations_of<Avx512>("avx512vnni", supported);
  return &kRow;
}
const PeakLoops* avx512_peak_loops() {
  static constexpr PeakLoops kLoops = peak_loops_of<Avx512>();
  return &kLoops;
}

}  // namespace stepdown::kernels

#else

namespace stepdown::kernels {
const Operations* avx512_operations() {
  return nullptr;
}
const PeakLoops* avx512_peak_loops() {
  return nullptr;
}
}  // namespace stepdown::kernels

#endif
