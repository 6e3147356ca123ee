#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "engine/base/half.h"
#include "engine/base/tensor.h"
#include "engine/kernels/dequantize.h"

namespace stepdown::kernels {

/// A stored matrix of random bytes whose binary16 scales are made harmless, or of chosen bytes.
struct Stored {
  std::vector<std::byte> bytes;
  TensorView view;

  Stored(DType type, std::int64_t rows, std::int64_t columns) {
    view = {"weights", type, {rows, columns}, {}};
    bytes.resize(*row_bytes(type, static_cast<std::size_t>(columns)) * static_cast<std::size_t>(rows));
    view.data = bytes;
  }
  void put_half(std::size_t at, float value) {
    const std::uint16_t bits = f32_to_f16(value);
    std::memcpy(bytes.data() + at, &bits, 2);
  }
  std::vector<float> values() const {
    std::vector<float> out(static_cast<std::size_t>(view.rows() * view.columns()));
    const std::size_t stored = bytes.size() / static_cast<std::size_t>(view.rows());
    for (std::int64_t row = 0; row < view.rows(); ++row) {
      dequantize_row(view.type, view.data.subspan(static_cast<std::size_t>(row) * stored, stored),
                     std::span(out).subspan(static_cast<std::size_t>(row * view.columns()),
                                            static_cast<std::size_t>(view.columns())));
    }
    return out;
  }
};

/// Offsets of the binary16 scales within a stored block.
inline std::vector<std::size_t> half_offsets(DType type) {
  switch (type) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    case DType::kTQ1_0:
      return {52};
    case DType::kTQ2_0:
      return {64};
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
      return {0};
    default:
      return {};
  }
}

inline Stored random_matrix(DType type, std::int64_t rows, std::int64_t columns, unsigned seed) {
  Stored stored(type, rows, columns);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  if (!dtype_info(type).quantized) {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const float value = normal(random);
      const auto at = static_cast<std::size_t>(i);
      if (type == DType::kF32) {
        std::memcpy(stored.bytes.data() + at * 4, &value, 4);
      } else if (type == DType::kF16) {
        stored.put_half(at * 2, value);
      } else {
        const std::uint16_t bits = f32_to_bf16(value);
        std::memcpy(stored.bytes.data() + at * 2, &bits, 2);
      }
    }
    return stored;
  }
  for (std::byte& byte : stored.bytes) byte = static_cast<std::byte>(random() & 255u);
  const std::size_t block = dtype_info(type).block_bytes;
  for (std::size_t at = 0; at < stored.bytes.size(); at += block) {
    for (const std::size_t offset : half_offsets(type)) stored.put_half(at + offset, normal(random) * 0.01f);
    if (type == DType::kMXFP4) stored.bytes[at] = static_cast<std::byte>(119 + random() % 4);
  }
  return stored;
}

}  // namespace stepdown::kernels
