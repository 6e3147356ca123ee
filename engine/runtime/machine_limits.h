#pragma once

#include "engine/kernels/thread_pool.h"

namespace stepdown::runtime {

/// What this machine can do at most, measured now; decoding is bound by the first, prompts by the second.
struct MachineLimits {
  double read_gb_per_s;   ///< all threads reading a buffer that no cache holds
  double int8_gop_per_s;  ///< the engine's own int8 product of a tile that stays in the first-level cache; 2
                          ///< a multiply-add
};

MachineLimits measure_limits(kernels::ThreadPool& pool);

}  // namespace stepdown::runtime
