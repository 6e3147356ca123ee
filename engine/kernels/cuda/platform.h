#pragma once

// What kernels use of the machine, under one set of names. Kernels are written against these names alone, so
// that the very same sources compile as C++ and run, barrier by barrier, in tests on machines without a GPU:
// tests/emulation defines the same names.
#ifdef STEPDOWN_CUDA_EMULATION
#include "tests/emulation/platform.h"
#else

#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

#include "engine/kernels/cuda/module.h"

namespace stepdown::kernels::cuda {

using Word = std::uint32_t;
using Quad = uint4;  ///< the widest load

/// Two binary16 numbers, the first in the low half.
__device__ inline Word pack_halves(float low, float high) {
  Word out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
__device__ inline float low_half(Word pair) {
  float out;
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(out) : "r"(pair));
  return out;
}
__device__ inline float high_half(Word pair) {
  float out;
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(out) : "r"(pair));
  return out;
}
__device__ inline Word add_halves(Word a, Word b) {
  Word out;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}
__device__ inline Word multiply_halves(Word a, Word b) {
  Word out;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}
__device__ inline Word multiply_add_halves(Word a, Word b, Word c) {
  Word out;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(c));
  return out;
}

/// Bytes of {b, a} by the selector's nibbles.
__device__ inline Word select_bytes(Word a, Word b, Word selector) {
  return __byte_perm(a, b, selector);
}

__device__ inline float exponential2(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}

/// c += a · b of binary16 16×16 and 16×8 fragments: PTX ISA, "mma.m16n8k16".
__device__ inline void multiply_accumulate(float (&c)[4], const Word (&a)[4], const Word (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
      "%1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The value of lane (own lane XOR mask); the whole warp takes part.
template <class T>
__device__ inline T exchange(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

__device__ inline void wait_for_block() {
  __syncthreads();
}

/// Loads of what is read once: they leave the L1 cache to what is read again.
__device__ inline Quad load_once(const Quad* at) {
  Quad out;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(out.x), "=r"(out.y), "=r"(out.z), "=r"(out.w)
               : "l"(at));
  return out;
}

/// Adds one; what was there before.
__device__ inline int count_up(int* counter) {
  return atomicAdd(counter, 1);
}

/// The bits of a float.
__device__ inline Word float_bits(float value) {
  return __float_as_uint(value);
}

/// 16 bytes from global to shared memory behind the thread's back; zeros where `valid` is false.
__device__ inline void copy_behind(void* to, const void* from, bool valid) {
  const auto target = static_cast<Word>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from), "r"(valid ? 16 : 0));
}
__device__ inline void close_copies() {
  asm volatile("cp.async.commit_group;");
}
/// Waits until at most kOpen of the thread's closed groups of copies are under way.
template <int kOpen>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
}

/// The shared memory that the launch asked for.
__device__ inline std::byte* launch_memory() {
  extern __shared__ __align__(128) std::byte memory[];
  return memory;
}

inline Failure failure_of(cudaError_t error) {
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

/// Launches kernel(arguments).
template <class Arguments>
Failure launch(void (*kernel)(Arguments), dim3 grid, int threads, std::size_t shared, Stream stream,
               const Arguments& arguments) {
  constexpr std::size_t kWithoutAsking = 48 * 1024;
  if (shared > kWithoutAsking) {
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) return failure_of(error);
  }
  void* values[] = {const_cast<Arguments*>(&arguments)};
  return failure_of(cudaLaunchKernel(kernel, grid, dim3(static_cast<unsigned>(threads)), values, shared,
                                     static_cast<cudaStream_t>(stream)));
}

}  // namespace stepdown::kernels::cuda

#endif
