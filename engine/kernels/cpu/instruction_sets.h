#pragma once

#include "engine/kernels/operations.h"

namespace stepdown::kernels {

// One per instruction set, each in a file of its own that is compiled for it; absent on other processors.
const Operations* avx512_operations();
const Operations* avx2_operations();
const Operations* scalar_operations();

}  // namespace stepdown::kernels
