#pragma once

#include <cstdint>

#include "engine/kernels/cuda/device.h"
#include "engine/model/device_weights.h"

namespace stepdown::model {

/// Columns of a row of halves that feeds a product: whole units.
constexpr std::int64_t padded_columns(std::int64_t columns) {
  using kernels::cuda::kUnitColumns;
  return (columns + kUnitColumns - 1) / kUnitColumns * kUnitColumns;
}

/// Products with a device's projections, with the room for sums of their parts that all share.
class DeviceProducts {
 public:
  explicit DeviceProducts(const kernels::cuda::Device& device);

  /// out[row] (+)= weights · input[row], rows of padded_columns().
  kernels::cuda::Failure multiply(const DeviceProjection& weights, const kernels::cuda::Buffer& input,
                                  std::int64_t rows, float* out, bool accumulate) const;

  static constexpr std::int64_t kPartialFloats = std::int64_t{4} << 20;

 private:
  const kernels::cuda::Device& device_;
  kernels::cuda::Buffer partials_;
};

}  // namespace stepdown::model
