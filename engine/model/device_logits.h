#pragma once

#include <cstdint>
#include <span>

#include "engine/formats/model_file.h"
#include "engine/kernels/cuda/device.h"
#include "engine/model/device_layers.h"
#include "engine/model/device_products.h"
#include "engine/model/leading.h"

namespace stepdown::model {

/// Logits of a device's residual rows, brought to the host whole or by what leads in each.
class DeviceLogits {
 public:
  static constexpr std::int64_t kRows = 16;  ///< that the output matrix is multiplied with at once

  /// All of them must outlive it.
  DeviceLogits(const kernels::cuda::Device& device, const formats::ModelConfig& config,
               const DeviceLayers& model, const DeviceProducts& products);

  /// Of rows of `residual`, [rows.size()][vocab]. Waits.
  kernels::cuda::Failure whole(const float* residual, std::span<const std::int64_t> rows, float* out) const;
  kernels::cuda::Failure leading(const float* residual, std::span<const LeadingQuery> queries,
                                 LeadingLogits* out) const;

 private:
  kernels::cuda::Failure compute(const float* residual, std::span<const std::int64_t> rows,
                                 bool summarize) const;
  kernels::cuda::Failure lead(const float* residual, std::span<const LeadingQuery> queries,
                              LeadingLogits* out) const;

  const kernels::cuda::Device& device_;
  const formats::ModelConfig& config_;
  const DeviceLayers& model_;
  const DeviceProducts& products_;
  kernels::cuda::Buffer rows_, normed_, logits_, summaries_, temperatures_, leaders_;
  kernels::cuda::Buffer rows_here_, logits_here_;
  kernels::cuda::Buffer
      found_here_;  ///< temperatures on their way there; summaries and leaders on theirs back
};

}  // namespace stepdown::model
