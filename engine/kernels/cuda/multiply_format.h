#pragma once

#include "engine/kernels/cuda/platform.h"

namespace stepdown::kernels::cuda {

/// The product for weights of kWeightFormats[kFormat]. multiply_format.cu is compiled once for each, so that
/// their kernels compile side by side.
template <int kFormat>
Failure multiply_format(Stream stream, const MatrixProduct& arguments);

}  // namespace stepdown::kernels::cuda
