#include "engine/model/scale_and_cap.h"

#include <cmath>

namespace stepdown::model {

void scale_and_cap(std::span<float> values, float scale, float softcap) {
  if (scale == 1.0f && softcap == 0.0f) return;
  for (float& x : values) {
    x *= scale;
    if (softcap > 0.0f) x = softcap * std::tanh(x / softcap);
  }
}

}  // namespace stepdown::model
