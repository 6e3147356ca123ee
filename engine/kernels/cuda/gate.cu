#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/rounding.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__device__ float activated(Gate function, float x) {
  if (function == Gate::kSilu) return x / (1.0f + expf(-x));
  // 0.5·x·(1 + tanh(u)) = x / (1 + exp(−2u)), u = √(2/π)·(x + 0.044715·x³).
  return x / (1.0f + expf(-1.5957691216f * (x + 0.044715f * x * x * x)));
}

__global__ void __launch_bounds__(kThreads) gate_rows(Gating of) {
  const int column = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (column >= of.columns) return;
  const std::int64_t token = blockIdx.y;
  const float x = of.gate[token * of.stride + column];
  of.out[token * of.out_stride + column] =
      rounded_half(activated(of.function, x) * of.up[token * of.stride + column]);
}

}  // namespace

Failure gate(Stream stream, const Gating& arguments) {
  const auto blocks = static_cast<unsigned>((arguments.columns + kThreads - 1) / kThreads);
  return launch(gate_rows, dim3{blocks, static_cast<unsigned>(arguments.tokens), 1}, kThreads, 0, stream,
                arguments);
}

}  // namespace stepdown::kernels::cuda
