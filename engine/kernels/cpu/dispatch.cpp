#include <vector>

#include "engine/kernels/cpu/instruction_sets.h"

namespace stepdown::kernels {

std::span<const Operations* const> all_operations() {
  static const std::vector<const Operations*> kCompiled = [] {
    std::vector<const Operations*> found;
    for (const Operations* row : {avx512_operations(), avx2_operations(), scalar_operations()}) {
      if (row != nullptr) found.push_back(row);
    }
    return found;
  }();
  return kCompiled;
}

const Operations& operations() {
  static const Operations& best = [&]() -> const Operations& {
    for (const Operations* row : all_operations()) {
      if (row->supported()) return *row;
    }
    return *scalar_operations();
  }();
  return best;
}

}  // namespace stepdown::kernels
