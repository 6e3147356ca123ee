#pragma once

#include "engine/formats/imatrix_file.h"
#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"

namespace stepdown::quant {

/// The importance matrix of every linear layer of the decoder over the calibration prompts: what
/// llama-imatrix measures, one decoder block in memory at a time.
formats::Imatrix compute_imatrix(const formats::ModelFile& model, const CalibrationSet& calibration,
                                 int threads);

}  // namespace stepdown::quant
