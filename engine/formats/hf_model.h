#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Opens a Hugging Face folder: config.json, tokenizer.json, model.safetensors (or its shards and index).
/// Matrices are views into the mapped files, apart from q and k, which are permuted into own memory; vectors
/// are widened to F32, as GGUF's converters do. Throws InputError.
std::unique_ptr<ModelFile> open_hf(const std::filesystem::path& folder, const std::vector<Adapter>& adapters,
                                   Merged merged);

}  // namespace stepdown::formats
