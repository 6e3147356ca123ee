#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/quant/method.h"

namespace stepdown::quant {

/// Mixed precision by sensitivity, as GGUF: each matrix gets the type that buys most for its bytes, under a
/// limit for the whole file (--budget).
Method mixed_method();

/// One type a tensor could have.
struct TypeOption {
  DType type;
  std::uint64_t bytes;
  double error;  ///< share of the output's energy that is lost
};

/// For each tensor the index of its chosen option: starts from the smallest and spends `budget` bytes where
/// an error falls most a byte (the steps of each tensor's lower convex hull, best first). Options ascend in
/// bytes. Throws InputError when even the smallest do not fit.
std::vector<std::size_t> spend_budget(const std::vector<std::vector<TypeOption>>& tensors,
                                      std::uint64_t budget);

}  // namespace stepdown::quant
