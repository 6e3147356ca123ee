#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/reduce.h"
#include "engine/kernels/cuda/rounding.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// A block a row: once for the squares, once, from the cache, for the result.
__global__ void __launch_bounds__(kThreads) norm(RmsNorm of) {
  const int index = static_cast<int>(blockIdx.x);
  const int row = of.gather != nullptr ? of.gather[index] : index;
  const float* const from = of.rows + std::int64_t{row} * of.columns;
  std::uint16_t* const to = of.out + std::int64_t{index} * of.stride;
  float factor = 1.0f;
  if (of.weight != nullptr) {
    float squares = 0.0f;
    for (int i = static_cast<int>(threadIdx.x); i < of.columns; i += kThreads) squares += from[i] * from[i];
    factor = 1.0f / sqrtf(over_block<Sum>(squares) / static_cast<float>(of.columns) + of.epsilon);
  }
  for (int i = static_cast<int>(threadIdx.x); i < of.columns; i += kThreads)
    to[i] = rounded_half(of.weight != nullptr ? from[i] * factor * of.weight[i] : from[i]);
}

}  // namespace

Failure rms_norm(Stream stream, const RmsNorm& arguments) {
  return launch(norm, dim3{static_cast<unsigned>(arguments.count), 1, 1}, kThreads, 0, stream, arguments);
}

}  // namespace stepdown::kernels::cuda
