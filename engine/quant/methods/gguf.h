#pragma once

#include "engine/formats/imatrix_file.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/quant/method.h"

namespace stepdown::quant {

/// llama.cpp's presets ("Q4_K_M"), byte for byte, with an importance matrix from a file or the calibration
/// data.
Method gguf_method();

/// The importance matrix that the request names, or that the calibration data give; empty without either. One
/// that is computed is kept in `folder` until the file is written.
formats::Imatrix importance_for(const MethodRun& run, const std::filesystem::path& folder);
/// Writes folder/model.gguf, goes on with one that a killed run began, and leaves nothing else there.
WrittenGguf write_model(const MethodRun& run, const GgufPlan& plan, const formats::Imatrix& imatrix,
                        const std::filesystem::path& folder, const std::string& label);

/// Method::memory of methods that write a GGUF file.
std::int64_t gguf_memory(const MethodRun& run);

}  // namespace stepdown::quant
