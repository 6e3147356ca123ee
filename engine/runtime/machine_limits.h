#pragma once

#include "engine/kernels/thread_pool.h"

namespace stepdown::runtime {

/// What this machine can do at most, measured now with all threads of a pool. Decoding is bound by the first,
/// prompts by one of the others; 2 operations a multiply-add.
struct MachineLimits {
  double read_gb_per_s;        ///< a buffer of 1 GiB
  double int8_gop_per_s;       ///< integer dot products on registers
  double float32_gflop_per_s;  ///< multiply-adds on registers
  double bf16_gflop_per_s;     ///< 0 without such instructions
};

MachineLimits measure_limits(kernels::ThreadPool& pool);

}  // namespace stepdown::runtime
