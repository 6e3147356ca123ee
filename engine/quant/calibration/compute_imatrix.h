#pragma once

#include <filesystem>

#include "engine/formats/imatrix_file.h"
#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"

namespace stepdown::quant {

/// The importance matrix of every linear layer of the decoder over the calibration prompts: what
/// llama-imatrix measures, one decoder block in memory at a time. Keeps what it has in the file `state`
/// (empty: nowhere), which takes a twentieth of the time at most; a run that finds one goes on behind its
/// last layer, to the same bits. The whole matrix is left there: whoever needs it no longer removes it.
formats::Imatrix compute_imatrix(const formats::ModelFile& model, const CalibrationSet& calibration,
                                 int threads, const std::filesystem::path& state = {});

}  // namespace stepdown::quant
