#include "engine/model/weights.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "engine/base/error.h"
#include "engine/kernels/dequantize.h"

namespace stepdown::model {
namespace {

std::string shape_text(std::int64_t rows, std::int64_t columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

}  // namespace

const TensorView& WeightLoader::tensor(const std::string& name, std::int64_t rows,
                                       std::int64_t columns) const {
  const TensorView* found = file_.find(name);
  if (found == nullptr) throw InputError("a tensor is missing", "tensor " + name, "convert the model again");
  if (found->rows() != rows || found->columns() != columns) {
    throw InputError("has shape " + shape_text(found->rows(), found->columns()) + ", expected " +
                         shape_text(rows, columns),
                     "tensor " + name,
                     "the header's dimensions and the tensors disagree: convert the model again");
  }
  const auto bytes = row_bytes(found->type, static_cast<std::size_t>(columns));
  if (!bytes || found->data.size() != *bytes * static_cast<std::size_t>(rows)) {
    throw InputError("its bytes do not fill its shape " + shape_text(rows, columns), "tensor " + name,
                     "convert the model again");
  }
  return *found;
}

void WeightLoader::matrix(const std::string& name, std::int64_t rows, std::int64_t columns,
                          kernels::PackedMatrix& target) {
  pending_.push_back({tensor(name, rows, columns), &target});
}

void WeightLoader::matrix(const std::string& name, std::int64_t rows, std::int64_t columns,
                          kernels::PackedMatrix& target, Slice slice) {
  TensorView view = tensor(name, rows * slice.count, columns);
  const std::size_t bytes = view.data.size() / static_cast<std::size_t>(slice.count);
  view.shape = {rows, columns};
  view.data = view.data.subspan(static_cast<std::size_t>(slice.index) * bytes, bytes);
  pending_.push_back({std::move(view), &target});
}

std::vector<float> WeightLoader::vector(const std::string& name, std::int64_t count) const {
  const TensorView& found = tensor(name, 1, count);
  std::vector<float> values(static_cast<std::size_t>(count));
  file_.prepare(found);
  kernels::dequantize_row(found.type, found.data, values);
  return values;
}

std::vector<float> WeightLoader::optional_vector(const std::string& name, std::int64_t count) const {
  return has(name) ? vector(name, count) : std::vector<float>{};
}

kernels::PageBuffer WeightLoader::pack(kernels::ThreadPool& pool, bool last_use_of_file) {
  std::vector<std::size_t> offsets;
  std::size_t total = 0;
  for (const Pending& item : pending_) {
    offsets.push_back(total);
    total += kernels::PackedMatrix::packed_bytes(item.tensor);
  }
  kernels::PageBuffer buffer(total, kernels::PageBuffer::Pages::kHuge);
  const std::span<std::byte> memory(buffer.data(), buffer.size());
  // The largest first: so the threads end together, and its file pages go while little is packed.
  std::vector<std::size_t> order(pending_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::size_t at) { return pending_[at].tensor.data.size(); });
  pool.each(static_cast<std::int64_t>(order.size()), [&](std::int64_t index, int /*worker*/) {
    const std::size_t at = order[static_cast<std::size_t>(index)];
    const Pending& item = pending_[at];
    file_.prepare(item.tensor);
    *item.target = kernels::PackedMatrix(item.tensor, memory.subspan(offsets[at]));
    last_use_of_file ? file_.discard(item.tensor) : file_.release(item.tensor);
  });
  return buffer;
}

}  // namespace stepdown::model
