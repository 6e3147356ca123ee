#include "engine/kernels/packing.h"

namespace stepdown::kernels {

std::optional<std::size_t> packing_index(DType type) {
  for (std::size_t i = 0; i < kPackings.size(); ++i) {
    if (kPackings[i].type == type) return i;
  }
  return std::nullopt;
}

}  // namespace stepdown::kernels
