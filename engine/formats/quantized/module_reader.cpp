#include "engine/formats/quantized/module_reader.h"

#include "engine/base/error.h"
#include "engine/base/half.h"

namespace stepdown::formats {

const TensorView& ModuleReader::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail("tensor '" + std::string(name) + "' is missing");
  return found->second;
}

const TensorView& ModuleReader::tensor(std::string_view name, DType type,
                                       const std::vector<std::int64_t>& shape) const {
  const TensorView& view = tensor(name);
  if (view.type != type) {
    fail("'" + std::string(name) + "' is " + std::string(dtype_info(view.type).name) + ", expected " +
         std::string(dtype_info(type).name));
  }
  if (view.shape != shape) fail("'" + std::string(name) + "' has not the shape that its settings ask for");
  return view;
}

std::vector<float> ModuleReader::floats(std::string_view name, std::int64_t count) const {
  const TensorView& view = tensor(name);
  std::vector<float> values(static_cast<std::size_t>(count));
  if (view.rows() * view.columns() != count) fail("'" + std::string(name) + "' has not the length expected");
  if (view.type == DType::kF32) {
    std::memcpy(values.data(), view.data.data(), values.size() * sizeof(float));
    return values;
  }
  if (view.type != DType::kF16 && view.type != DType::kBF16) {
    fail("'" + std::string(name) + "' is " + std::string(dtype_info(view.type).name) +
         ", expected F32, F16 or BF16");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, view.data.data() + i * sizeof(bits), sizeof(bits));
    values[i] = view.type == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
  }
  return values;
}

void ModuleReader::fail(const std::string& what) const {
  throw InputError(what, where_,
                   "the checkpoint is damaged or its quantization_config is another's; export it again");
}

}  // namespace stepdown::formats
