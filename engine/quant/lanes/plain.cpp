#include "engine/quant/lanes/searches_of.h"

namespace stepdown::quant {

// Four lanes: what SSE2 and NEON have, which every processor of theirs does.
const Searches* plain_searches() {
  static constexpr Searches kRow = searches_of<4>("plain", [] { return true; });
  return &kRow;
}

}  // namespace stepdown::quant
