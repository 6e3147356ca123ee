#pragma once

#include <cstdint>

#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/methods/weight_method.h"

/// What quantization takes beside what the process holds when it begins; bytes, touched file pages included.
namespace stepdown::quant {

/// The peak of this process, which then takes `working` bytes more than it holds now.
std::uint64_t peak_with(std::int64_t working);

/// Writing a GGUF file tensor by tensor; with prompts, measuring importance block by block before.
std::int64_t gguf_working_memory(const formats::ModelFile& model, const CalibrationSet* prompts);

/// Measuring what each matrix is worth to the model (calibration/sensitivity.h).
std::int64_t sensitivity_working_memory(const formats::ModelFile& model, const CalibrationSet& prompts);

/// Writing a checkpoint block by block, by settled settings. `prompts` may be nullptr when the method needs
/// none.
std::int64_t export_working_memory(const formats::ModelFile& model, const WeightMethod& method,
                                   const WeightSettings& settings, const CalibrationSet* prompts);

/// Training the whole model, by settled settings, and writing it.
std::int64_t training_working_memory(const formats::ModelFile& model, const WeightSettings& settings,
                                     const CalibrationSet& prompts);

}  // namespace stepdown::quant
