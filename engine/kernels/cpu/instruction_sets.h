#pragma once

#include "engine/kernels/operations.h"
#include "engine/kernels/peak_loops.h"

namespace stepdown::kernels {

// One per instruction set, each in a file of its own that is compiled for it; absent on other processors.
const Operations* amx_operations();
const Operations* avx512bf16_operations();
const Operations* avx512_operations();
const Operations* avx2_operations();
const Operations* neon_operations();
const Operations* scalar_operations();

const PeakLoops* amx_peak_loops();
const PeakLoops* avx512bf16_peak_loops();
const PeakLoops* avx512_peak_loops();
const PeakLoops* avx2_peak_loops();
const PeakLoops* neon_peak_loops();
const PeakLoops* scalar_peak_loops();

}  // namespace stepdown::kernels
