#include "engine/model/rotation.h"

#include <cmath>

namespace stepdown::model {

void rotate_head(float* head, std::int64_t width) {
  const std::int64_t block = width & -width;
  const float factor = 1.0f / std::sqrt(static_cast<float>(block));
  for (std::int64_t first = 0; first < width; first += block) {
    float* at = head + first;
    for (std::int64_t step = 1; step < block; step *= 2) {
      for (std::int64_t pair = 0; pair < block; pair += 2 * step) {
        for (std::int64_t i = pair; i < pair + step; ++i) {
          const float a = at[i];
          const float b = at[i + step];
          at[i] = a + b;
          at[i + step] = a - b;
        }
      }
    }
    for (std::int64_t i = 0; i < block; ++i) at[i] *= factor;
  }
}

}  // namespace stepdown::model
