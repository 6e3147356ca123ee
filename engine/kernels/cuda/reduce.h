#pragma once

#include "engine/kernels/cuda/platform.h"

// Reductions over a warp and over a block of up to 1024 threads. Every thread gets the result, and adds in
// the same order whatever ran first.
namespace stepdown::kernels::cuda {

struct Sum {
  static __device__ float identity() { return 0.0f; }
  static __device__ float join(float a, float b) { return a + b; }
};
struct Largest {
  static __device__ float identity() { return -INFINITY; }
  static __device__ float join(float a, float b) {
    return fmaxf(a, b);
  }  // NaN loses: finiteness is told apart
};

template <class Rule>
__device__ inline float over_warp(float value) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value = Rule::join(value, exchange(value, mask));
  return value;
}

template <class Rule>
__device__ inline float over_block(float value) {
  __shared__ float of_warps[32];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  value = over_warp<Rule>(value);
  wait_for_block();  // the reduction before this one has been read
  if (lane == 0) of_warps[warp] = value;
  wait_for_block();
  return over_warp<Rule>(lane < static_cast<int>(blockDim.x) / kLanes ? of_warps[lane] : Rule::identity());
}

}  // namespace stepdown::kernels::cuda
