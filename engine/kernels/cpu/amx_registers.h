#pragma once

#include <cstdint>

#include <immintrin.h>

// Shapes of Intel's matrix registers, for files that are compiled for them; each gets its own copy.
namespace stepdown::kernels {
namespace {

inline constexpr std::int64_t kInputs = 16;  // input rows of a matrix register

/// Of the matrix registers, as the processor reads it.
struct Shape {
  std::uint8_t palette = 1;
  std::uint8_t unused[15] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void load() const {
    asm volatile("" : : "r"(this) : "memory");  // GCC 12 believes that it reads eight bytes
    _tile_loadconfig(this);
  }
};
static_assert(sizeof(Shape) == 64);

/// The tile intrinsics do not tell GCC that they read memory: call between writing it and them.
inline void written(const void* memory) {
  asm volatile("" : : "r"(memory) : "memory");
}

}  // namespace
}  // namespace stepdown::kernels
