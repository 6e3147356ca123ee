#pragma once

// The names of engine/kernels/cuda/platform.h for C++: a block's threads are fibers of one thread, which run
// one after the other between barriers. Memory never copied to is filled with NaN, copies that were not
// waited for have not happened, and a barrier that not all threads reach fails, so that kernels which only
// work by luck fail here.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>

#include "engine/base/half.h"
#include "engine/kernels/cuda/module.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

namespace stepdown::kernels::cuda {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};

/// Of the fiber that runs.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;
using Word = std::uint32_t;
using Quad = uint4;

namespace emulation {

/// Runs the body once for every thread of every block.
void run(dim3 grid, int threads, std::size_t shared, const std::function<void()>& body);
/// Now, or when the graph runs that the stream records.
Failure submit(Stream stream, std::function<void()> work);

void block_barrier();
void warp_barrier();
std::byte* launch_memory();
void copy_behind(void* to, const void* from, bool valid);
void close_copies();
void wait_for_copies(int open);

/// Room for what each lane of the running warp offers; two sides, so that one barrier an exchange is enough.
using Offers = std::array<std::array<std::byte, 64>, 32>;
Offers& next_offers();

/// What every lane offered.
template <class T>
std::array<T, 32> gather(const T& mine) {
  static_assert(sizeof(T) <= 64);
  Offers& offers = next_offers();
  std::memcpy(offers[threadIdx.x % 32].data(), &mine, sizeof(T));
  warp_barrier();
  std::array<T, 32> all;
  for (std::size_t lane = 0; lane < 32; ++lane) std::memcpy(&all[lane], offers[lane].data(), sizeof(T));
  return all;
}

inline float half_at(Word pair, int index) {
  return f16_to_f32(static_cast<std::uint16_t>(pair >> (16 * index)));
}

template <class Function>
Word on_halves(const Function& function) {
  return Word{f32_to_f16(function(0))} | Word{f32_to_f16(function(1))} << 16;
}

}  // namespace emulation

inline Word pack_halves(float low, float high) {
  return Word{f32_to_f16(low)} | Word{f32_to_f16(high)} << 16;
}
inline float low_half(Word pair) {
  return emulation::half_at(pair, 0);
}
inline float high_half(Word pair) {
  return emulation::half_at(pair, 1);
}
inline Word add_halves(Word a, Word b) {
  return emulation::on_halves([&](int i) { return emulation::half_at(a, i) + emulation::half_at(b, i); });
}
inline Word multiply_halves(Word a, Word b) {
  return emulation::on_halves([&](int i) { return emulation::half_at(a, i) * emulation::half_at(b, i); });
}
// The product of two binary16 is exact in float, so that only the sum is rounded before the last rounding.
inline Word multiply_add_halves(Word a, Word b, Word c) {
  return emulation::on_halves([&](int i) {
    return std::fma(emulation::half_at(a, i), emulation::half_at(b, i), emulation::half_at(c, i));
  });
}
inline Word select_bytes(Word a, Word b, Word selector) {
  const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
  Word out = 0;
  for (int i = 0; i < 4; ++i) {
    const Word from = selector >> (4 * i) & 7u;
    out |= static_cast<Word>(bytes >> (8 * from) & 0xffu) << (8 * i);
  }
  return out;
}
inline float exponential2(float x) {
  return std::exp2(x);
}

// PTX ISA, figures of "Matrix Fragments for mma.m16n8k16 with floating point type": lane = 4 · group +
// thread. A: rows group (registers 0, 2) and group + 8 (1, 3), columns 2 · thread + {0, 1}, + 8 in registers
// 2 and 3. B: column group, rows 2 · thread + {0, 1}, + 8 in register 1. C: rows group (0, 1) and group + 8
// (2, 3), columns 2 · thread + {0, 1}.
inline void multiply_accumulate(float (&c)[4], const Word (&a)[4], const Word (&b)[2]) {
  struct Operands {
    Word a[4], b[2];
  };
  Operands mine;
  std::copy_n(a, 4, mine.a);
  std::copy_n(b, 2, mine.b);
  const auto all = emulation::gather(mine);
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8;
    const int column = lane % 4 * 2 + i % 2;
    double sum = static_cast<double>(c[i]);
    for (int k = 0; k < 16; ++k) {
      const auto& left = all[static_cast<std::size_t>(row % 8 * 4 + k % 8 / 2)];
      const auto& right = all[static_cast<std::size_t>(column * 4 + k % 8 / 2)];
      sum += static_cast<double>(emulation::half_at(left.a[row / 8 + k / 8 * 2], k % 2)) *
             static_cast<double>(emulation::half_at(right.b[k / 8], k % 2));
    }
    c[i] = static_cast<float>(sum);
  }
}

template <class T>
T exchange(T value, int mask) {
  return emulation::gather(value)[(threadIdx.x % 32) ^ static_cast<unsigned>(mask)];
}

inline void wait_for_block() {
  emulation::block_barrier();
}
inline int count_up(int* counter) {
  return (*counter)++;
}
inline Word float_bits(float value) {
  return std::bit_cast<Word>(value);
}
inline Quad load_once(const Quad* at) {
  return *at;
}
inline void copy_behind(void* to, const void* from, bool valid) {
  emulation::copy_behind(to, from, valid);
}
inline void close_copies() {
  emulation::close_copies();
}
template <int kOpen>
void wait_for_copies() {
  emulation::wait_for_copies(kOpen);
}
inline std::byte* launch_memory() {
  return emulation::launch_memory();
}

template <class Arguments>
Failure launch(void (*kernel)(Arguments), dim3 grid, int threads, std::size_t shared, Stream stream,
               const Arguments& arguments) {
  return emulation::submit(stream,
                           [=] { emulation::run(grid, threads, shared, [&] { kernel(arguments); }); });
}

}  // namespace stepdown::kernels::cuda
