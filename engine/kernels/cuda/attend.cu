#include "engine/kernels/cuda/attend_format.h"
#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/rounding.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 128;

// Joins what the splits of one head of a row added up; each counts in powers of two from a maximum of its
// own.
__global__ void __launch_bounds__(kThreads) merge_splits(PagedAttention of) {
  const std::int64_t head = blockIdx.x;
  const std::int64_t row = blockIdx.y;
  const auto partial = [&](int split) {
    return of.partials + ((std::int64_t{split} * of.rows + row) * of.heads + head) * (of.head_dim + 2);
  };
  float maximum = -INFINITY;
  for (int split = 0; split < of.splits; ++split) maximum = fmaxf(maximum, partial(split)[of.head_dim]);
  float weight = 0.0f;
  for (int split = 0; split < of.splits; ++split) {
    const float* const from = partial(split);
    if (from[of.head_dim + 1] != 0.0f)
      weight += exponential2(from[of.head_dim] - maximum) * from[of.head_dim + 1];
  }
  for (int dim = static_cast<int>(threadIdx.x); dim < of.head_dim; dim += kThreads) {
    float sum = 0.0f;
    for (int split = 0; split < of.splits; ++split) {
      const float* const from = partial(split);
      if (from[of.head_dim + 1] != 0.0f) sum += exponential2(from[of.head_dim] - maximum) * from[dim];
    }
    of.out[row * of.stride + head * of.head_dim + dim] = rounded_half(sum / weight);
  }
}

}  // namespace

Failure attend(Stream stream, const PagedAttention& arguments) {
  const int group = arguments.heads / arguments.cache.kv_heads;
  if (arguments.item_tokens * group > 64) return "an item of attention has more than 64 rows";
  Failure failure = "no attention kernel for heads of this width";
  if (arguments.cache.dim == 64) failure = attend_format<64>(stream, arguments);
  if (arguments.cache.dim == 128) failure = attend_format<128>(stream, arguments);
  if (arguments.cache.dim == 256) failure = attend_format<256>(stream, arguments);
  if (failure != nullptr || arguments.splits == 1) return failure;
  return launch(merge_splits,
                dim3{static_cast<unsigned>(arguments.heads), static_cast<unsigned>(arguments.rows), 1},
                kThreads, 0, stream, arguments);
}

}  // namespace stepdown::kernels::cuda
