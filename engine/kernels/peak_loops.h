#pragma once

#include <cstdint>

namespace stepdown::kernels {

/// Loops of multiply-adds on registers alone: what the processor's arithmetic can do at most. Each runs
/// `rounds` times and returns the operations it did, 2 a multiply-add; null where the processor has no such
/// instructions.
struct PeakLoops {
  std::int64_t (*int8)(std::int64_t rounds);
  std::int64_t (*float32)(std::int64_t rounds);
  std::int64_t (*bf16)(std::int64_t rounds);
};

/// Those of the instruction set that operations() runs.
const PeakLoops& peak_loops();

}  // namespace stepdown::kernels
