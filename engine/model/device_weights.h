#pragma once

#include <string>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/cuda/device.h"
#include "engine/kernels/cuda/device_weights.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/weights.h"

namespace stepdown::model {

/// Matrices over the same input, whose outputs lie side by side: one where their types allow, else one each.
struct DeviceProjection {
  struct Part {
    kernels::cuda::DeviceMatrix matrix;
    std::int32_t first;  ///< column of the output
  };
  std::vector<Part> parts;
  std::int32_t width = 0;
};

/// Loads an architecture's tensors to a device: asks for all, then repacks and copies them one by one,
/// releasing each one's file pages as it goes.
class DeviceWeightLoader {
 public:
  explicit DeviceWeightLoader(const formats::ModelFile& file) : file_(file), loader_(file) {}

  struct Wanted {
    std::string name;
    std::int64_t rows;
  };
  /// `target` is filled by load(). Throws InputError when a tensor is missing or has another shape or type.
  void matrices(const std::vector<Wanted>& wanted, std::int64_t columns, DeviceProjection& target);
  const WeightLoader& vectors() const { return loader_; }
  /// Of device memory, for what was asked.
  std::size_t bytes() const;
  /// Copies all; the buffers must outlive the matrices.
  std::vector<kernels::cuda::Buffer> load(const kernels::cuda::Device& device, kernels::ThreadPool& pool);

 private:
  struct Pending {
    std::vector<TensorView> tensors;
    kernels::cuda::WeightLayout layout;
    DeviceProjection* target;
    std::size_t part;
  };
  void add(std::vector<TensorView> tensors, DeviceProjection& target);

  const formats::ModelFile& file_;
  WeightLoader loader_;
  std::vector<Pending> pending_;
};

}  // namespace stepdown::model
