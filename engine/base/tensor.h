#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/dtype.h"

namespace stepdown {

/// A stored tensor, as a view of bytes that someone else (a mapped file) owns.
/// `shape` is row-major, slowest first: a linear layer's weight is [out_features, in_features].
struct TensorView {
  std::string name;
  DType type = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;

  /// Elements of the fastest dimension (in_features); 1 for a scalar.
  std::int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  /// Product of all other dimensions (out_features).
  std::int64_t rows() const {
    std::int64_t count = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
    return count;
  }
};

}  // namespace stepdown
