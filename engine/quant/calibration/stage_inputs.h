#pragma once

#include <vector>

#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// What the linears of one place read over the calibration prompts.
struct StageInputs {
  std::int64_t tokens = 0;
  Matrix gram;                     ///< Σ x·xᵀ, [inputs][inputs]; empty unless asked for
  std::vector<float> mean_square;  ///< of each column
  std::vector<float> mean_magnitude;
  std::vector<float> largest;  ///< magnitude of each column
};

/// Runs the block up to `place` on every prompt.
StageInputs observe(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                    const std::vector<Matrix>& streams, bool with_gram);

}  // namespace stepdown::quant
