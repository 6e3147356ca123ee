#include "engine/model/device_products.h"

namespace stepdown::model {

namespace cuda = kernels::cuda;

DeviceProducts::DeviceProducts(const cuda::Device& device)
    : device_(device), partials_(device, static_cast<std::size_t>(kPartialFloats) * sizeof(float)) {}

cuda::Failure DeviceProducts::multiply(const DeviceProjection& weights, const cuda::Buffer& input,
                                       std::int64_t rows, float* out, bool accumulate) const {
  for (const DeviceProjection::Part& part : weights.parts) {
    const cuda::Failure failure = device_.operations().multiply(
        device_.stream(), {.weights = part.matrix,
                           .input = input.as<std::uint16_t>(),
                           .input_stride = static_cast<std::int32_t>(padded_columns(part.matrix.columns)),
                           .tokens = static_cast<std::int32_t>(rows),
                           .out = out + part.first,
                           .out_stride = weights.width,
                           .accumulate = accumulate,
                           .partials = partials_.as<float>(),
                           .partial_capacity = static_cast<std::size_t>(kPartialFloats)});
    if (failure != nullptr) return failure;
  }
  return nullptr;
}

}  // namespace stepdown::model
