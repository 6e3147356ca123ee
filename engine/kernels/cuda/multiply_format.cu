#include "engine/kernels/cuda/multiply_few.h"
#include "engine/kernels/cuda/multiply_format.h"
#include "engine/kernels/cuda/multiply_many.h"
#include "engine/kernels/cuda/operations.h"

#ifndef STEPDOWN_WEIGHT_FORMAT
#error "compile once for each index of kWeightFormats, as engine/kernels/cuda/CMakeLists.txt does"
#endif

namespace stepdown::kernels::cuda {

template <int kFormat>
Failure multiply_format(Stream stream, const MatrixProduct& arguments) {
  const int processors = multiprocessors();
  if (arguments.tokens <= 8) return launch_few<kFormat, 1>(stream, arguments, processors);
  if (arguments.tokens <= kFewTokens) return launch_few<kFormat, 2>(stream, arguments, processors);
  if (arguments.tokens <= 64) return launch_many<kFormat, 64>(stream, arguments, processors);
  return launch_many<kFormat, 128>(stream, arguments, processors);
}

template Failure multiply_format<STEPDOWN_WEIGHT_FORMAT>(Stream, const MatrixProduct&);

}  // namespace stepdown::kernels::cuda
