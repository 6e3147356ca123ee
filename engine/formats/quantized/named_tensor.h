#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/tensor.h"

namespace stepdown::formats {

/// A tensor that owns its bytes, on its way into a checkpoint.
struct NamedTensor {
  std::string name;
  DType type = DType::kF32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  TensorView view() const { return {name, type, shape, bytes}; }
};

template <typename T>
NamedTensor named_tensor(std::string name, DType type, std::vector<std::int64_t> shape,
                         std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {std::move(name), type, std::move(shape), {bytes.begin(), bytes.end()}};
}

/// The tensors of one module by the rest of their name: "qweight", "weight.absmax".
using ModuleTensors = std::map<std::string, TensorView, std::less<>>;

}  // namespace stepdown::formats
