#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/dtype.h"

namespace stepdown::quant {

/// One type a tensor could have.
struct TypeOption {
  DType type;
  std::uint64_t bytes;
  double loss;  ///< of the model by it, in any unit that adds up over tensors
};

/// For each tensor the index of its chosen option: starts from the smallest and spends the file's `budget`
/// bytes, of which `fixed` are no tensor's, where the loss falls most a byte (the steps of each tensor's
/// lower convex hull, best first). Options ascend in bytes. Throws InputError when even the smallest do not
/// fit.
std::vector<std::size_t> spend_budget(const std::vector<std::vector<TypeOption>>& tensors,
                                      std::uint64_t budget, std::uint64_t fixed = 0);

}  // namespace stepdown::quant
