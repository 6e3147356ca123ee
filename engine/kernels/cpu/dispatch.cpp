#include <cstdlib>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/cpu/instruction_sets.h"

namespace stepdown::kernels {
namespace {

const Operations& best() {
  for (const Operations* row : all_operations()) {
    if (row->supported()) return *row;
  }
  return *scalar_operations();
}

}  // namespace

std::span<const Operations* const> all_operations() {
  static const std::vector<const Operations*> kCompiled = [] {
    std::vector<const Operations*> found;
    for (const Operations* row : {amx_operations(), avx512bf16_operations(), avx512_operations(),
                                  avx2_operations(), neon_operations(), scalar_operations()}) {
      if (row != nullptr) found.push_back(row);
    }
    return found;
  }();
  return kCompiled;
}

const Operations* find_operations(std::string_view name) {
  for (const Operations* row : all_operations()) {
    if (row->name == name && row->supported()) return row;
  }
  return nullptr;
}

const Operations& operations() {
  static const Operations& chosen = []() -> const Operations& {
    const char* asked = std::getenv(kInstructionSetVariable);
    if (asked == nullptr || *asked == '\0') return best();
    if (const Operations* row = find_operations(asked)) return *row;
    std::string names;
    for (const Operations* row : all_operations()) {
      if (row->supported()) names += (names.empty() ? "" : ", ") + std::string(row->name);
    }
    throw InputError("this processor has no \"" + std::string(asked) + "\"", kInstructionSetVariable,
                     "leave it unset, or set one of " + names);
  }();
  return chosen;
}

const PeakLoops& peak_loops() {
  const Operations* chosen = &operations();
  if (chosen == amx_operations()) return *amx_peak_loops();
  if (chosen == avx512bf16_operations()) return *avx512bf16_peak_loops();
  if (chosen == avx512_operations()) return *avx512_peak_loops();
  if (chosen == avx2_operations()) return *avx2_peak_loops();
  if (chosen == neon_operations()) return *neon_peak_loops();
  return *scalar_peak_loops();
}

}  // namespace stepdown::kernels
