#include "engine/model/device_weights.h"

#include <algorithm>

namespace stepdown::model {

namespace cuda = kernels::cuda;

void DeviceWeightLoader::matrices(const std::vector<Wanted>& wanted, std::int64_t columns,
                                  DeviceProjection& target) {
  std::vector<TensorView> tensors;
  tensors.reserve(wanted.size());
  for (const Wanted& each : wanted) tensors.push_back(loader_.tensor(each.name, each.rows, columns));
  if (cuda::joinable(tensors)) return add(std::move(tensors), target);
  for (TensorView& tensor : tensors) add({std::move(tensor)}, target);
}

void DeviceWeightLoader::add(std::vector<TensorView> tensors, DeviceProjection& target) {
  const cuda::WeightLayout layout = cuda::layout_of(tensors);
  pending_.push_back({std::move(tensors), layout, &target, target.parts.size()});
  target.parts.push_back({{}, target.width});
  target.width += layout.rows;
}

std::size_t DeviceWeightLoader::bytes() const {
  std::size_t total = 0;
  for (const Pending& item : pending_) total += item.layout.bytes;
  return total;
}

std::vector<cuda::Buffer> DeviceWeightLoader::load(const cuda::Device& device, kernels::ThreadPool& pool) {
  std::size_t largest = 0;
  for (const Pending& item : pending_) largest = std::max(largest, item.layout.bytes);
  const cuda::Buffer staging(device, largest, cuda::Buffer::Where::kHost);
  std::vector<cuda::Buffer> buffers;
  for (const Pending& item : pending_) {
    const std::span<std::byte> packed(staging.as(), item.layout.bytes);
    std::ranges::fill(packed, std::byte{0});
    for (const TensorView& tensor : item.tensors) file_.prepare(tensor);
    cuda::repack(item.tensors, item.layout, packed, pool);
    for (const TensorView& tensor : item.tensors) file_.release(tensor);
    buffers.emplace_back(device, packed.size());
    cuda::copy_to_device(device, buffers.back().as(), packed);
    item.target->parts[item.part].matrix = cuda::matrix_at(item.layout, buffers.back().as());
  }
  pending_.clear();
  return buffers;
}

}  // namespace stepdown::model
