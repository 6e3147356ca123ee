#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/operations.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/kernels/thread_pool.h"

namespace stepdown::kernels {

/// Input rows of matrix products, as floats and as int8 codes: every product takes the form its weights want.
class Activations {
 public:
  Activations(std::int64_t max_rows, std::int64_t columns);

  std::int64_t columns() const { return columns_; }
  float* row(std::int64_t index) { return floats_.data() + index * columns_; }
  const float* row(std::int64_t index) const { return floats_.data() + index * columns_; }
  /// Codes the floats of one row; to be called after writing it.
  void encode(const Operations& operations, std::int64_t index);
  /// All rows' codes of one panel, which lie together.
  CodedRows coded(std::int64_t panel) const;

 private:
  std::int64_t max_rows_;
  std::int64_t columns_;
  std::vector<float> floats_;
  std::vector<std::int8_t> codes_;
  std::vector<BlockScale> scales_;
  std::vector<BlockSums> sums_;
};

/// One product of a group that shares its input: out[row · stride + j] (+)= input row · weight row j.
struct Product {
  const PackedMatrix* weights;
  float* out;
  std::int64_t stride;
  bool accumulate = false;
};

/// All products over input rows first…first+count−1, spread over the pool by tiles: the weights are read
/// once. An output is the sum of its panels' products, added in their order.
void multiply(ThreadPool& pool, const Operations& operations, const Activations& input, std::int64_t first,
              std::int64_t count, std::span<const Product> products);

}  // namespace stepdown::kernels
