#include <vector>

#include "engine/quant/lanes/searches.h"

namespace stepdown::quant {

std::span<const Searches* const> all_searches() {
  static const std::vector<const Searches*> kCompiled = [] {
    std::vector<const Searches*> found;
    for (const Searches* row : {avx512_searches(), avx2_searches(), plain_searches()}) {
      if (row != nullptr) found.push_back(row);
    }
    return found;
  }();
  return kCompiled;
}

const Searches& searches() {
  static const Searches& best = []() -> const Searches& {
    for (const Searches* row : all_searches()) {
      if (row->supported()) return *row;
    }
    return *plain_searches();
  }();
  return best;
}

}  // namespace stepdown::quant
