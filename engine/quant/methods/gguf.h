#pragma once

#include "engine/formats/imatrix_file.h"
#include "engine/quant/method.h"

namespace stepdown::quant {

/// llama.cpp's presets ("Q4_K_M"), byte for byte, with an importance matrix from a file or the calibration
/// data.
Method gguf_method();

/// The importance matrix that the request names, or that the calibration data give; empty without either.
formats::Imatrix importance_for(const MethodRun& run);

/// Method::memory of methods that write a GGUF file.
std::int64_t gguf_memory(const MethodRun& run);

}  // namespace stepdown::quant
