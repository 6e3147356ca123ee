#pragma once

#include <span>

namespace stepdown::model {

/// What some architectures do to embeddings and logits: times `scale`, then cap·tanh(x/cap); 0: no cap.
void scale_and_cap(std::span<float> values, float scale, float softcap);

}  // namespace stepdown::model
