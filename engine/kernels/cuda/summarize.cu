#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/reduce.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 1024;

__device__ bool allowed(const std::uint32_t* mask, int token) {
  return mask == nullptr || (mask[token / 32] >> (token % 32) & 1u) != 0;
}

// A block a row; see kernels::Distribution. The second pass reads from the cache.
__global__ void __launch_bounds__(kThreads) summarize_rows(Summary of) {
  const int row = static_cast<int>(blockIdx.x);
  float* const logits = of.logits + std::int64_t{row} * of.columns;
  const std::uint32_t* const mask = of.masks != nullptr ? of.masks + std::int64_t{row} * of.words : nullptr;
  float largest = -INFINITY;
  float best = -INFINITY;
  float poison = 0.0f;
  int token = -1;
  for (int i = static_cast<int>(threadIdx.x); i < of.columns; i += kThreads) {
    float x = logits[i];
    if (of.scale != 1.0f || of.softcap > 0.0f) {
      x *= of.scale;
      if (of.softcap > 0.0f) x = of.softcap * tanhf(x / of.softcap);
      logits[i] = x;
    }
    poison += x * 0.0f;  // NaN for NaN and both infinities
    largest = fmaxf(largest, x);
    if (x > best && allowed(mask, i)) {
      best = x;
      token = i;
    }
  }
  const bool finite = over_block<Sum>(poison) == 0.0f;
  const float maximum = over_block<Largest>(largest);
  const float best_logit = over_block<Largest>(best);
  // The lowest token of the best logit; tokens below 2²⁴ are exact floats.
  const bool mine = token >= 0 && best == best_logit;
  const float lowest = -over_block<Largest>(mine ? -static_cast<float>(token) : -INFINITY);
  float total = 0.0f;
  float weighted = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < of.columns; i += kThreads) {
    const float x = logits[i] - maximum;
    const float weight = expf(x);
    total += weight;
    weighted += weight > 0.0f ? weight * x : 0.0f;
  }
  total = over_block<Sum>(total);
  weighted = over_block<Sum>(weighted);
  if (threadIdx.x != 0) return;
  const float log_total = logf(total);
  of.out[row] = {maximum,
                 maximum + log_total,
                 log_total - weighted / total,
                 finite ? 1 : 0,
                 lowest < INFINITY ? static_cast<std::int32_t>(lowest) : -1,
                 best_logit};
}

}  // namespace

Failure summarize(Stream stream, const Summary& arguments) {
  return launch(summarize_rows, dim3{static_cast<unsigned>(arguments.rows), 1, 1}, kThreads, 0, stream,
                arguments);
}

}  // namespace stepdown::kernels::cuda
