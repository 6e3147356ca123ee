#pragma once

#include <cstddef>
#include <cstdint>

namespace stepdown::kernels {

/// What the processor can do at most. Three loops of multiply-adds on registers alone: each runs `rounds`
/// times and returns the operations it did, 2 a multiply-add; null where the processor has no such
/// instructions.
struct PeakLoops {
  std::int64_t (*int8)(std::int64_t rounds);
  std::int64_t (*float32)(std::int64_t rounds);
  std::int64_t (*bf16)(std::int64_t rounds);
  /// Reads memory by the loads that weights are read with; `bytes` is a multiple of 256.
  void (*read)(const std::byte* from, std::int64_t bytes);
};

/// Those of the instruction set that operations() runs.
const PeakLoops& peak_loops();

}  // namespace stepdown::kernels
