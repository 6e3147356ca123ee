#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/quantized/named_tensor.h"

namespace stepdown::formats {

/// The stored tensors of one linear module, read with checks: every error names file and module.
class ModuleReader {
 public:
  ModuleReader(const ModuleTensors& tensors, std::string where)
      : tensors_(tensors), where_(std::move(where)) {}

  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// The tensor, which must have this type and shape.
  const TensorView& tensor(std::string_view name, DType type, const std::vector<std::int64_t>& shape) const;
  const TensorView& tensor(std::string_view name) const;
  /// Its elements copied out.
  template <typename T>
  std::vector<T> values(std::string_view name, DType type, const std::vector<std::int64_t>& shape) const {
    const TensorView& view = tensor(name, type, shape);
    std::vector<T> values(view.data.size() / sizeof(T));
    std::memcpy(values.data(), view.data.data(), values.size() * sizeof(T));
    return values;
  }
  /// F32, F16 or BF16 elements, widened; any shape of `count` elements.
  std::vector<float> floats(std::string_view name, std::int64_t count) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  const ModuleTensors& tensors_;
  std::string where_;
};

}  // namespace stepdown::formats
