#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/quant/calibration/decoder_block.h"

namespace stepdown::quant {

/// Linear layers that share an input, and what produces it.
struct ScalingGroup {
  Place place;
  std::vector<Linear*> linears;
  Linear* producer = nullptr;  ///< nullptr: the norm before the stage
  std::int64_t first_row = 0;  ///< of the producer's outputs that are read
};

/// Multiplies the columns of the group's layers by `scales` and divides their producer's outputs by them: the
/// block computes the same. The norm is rounded to binary16 as it will be stored.
void scale_equally(DecoderBlock& block, const ScalingGroup& group, std::span<const float> scales);

/// The places of a block where that is possible: behind both norms where the architecture has them, behind
/// v_proj where no query heads share it, behind up_proj. What a router reads counts as the experts' input.
/// Those alone whose layers read at one of `stages`.
std::vector<ScalingGroup> scaling_groups(DecoderBlock& block, std::span<const Stage> stages);

}  // namespace stepdown::quant
