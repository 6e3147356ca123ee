#pragma once

#include "engine/kernels/cuda/platform.h"

namespace stepdown::kernels::cuda {

/// Attention for heads that the cache holds kDim wide. attend_format.cu is compiled once for each width.
template <int kDim>
Failure attend_format(Stream stream, const PagedAttention& arguments);

}  // namespace stepdown::kernels::cuda
