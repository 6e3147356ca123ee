#pragma once

#include <filesystem>
#include <memory>

#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Opens one GGUF file by memory map. Throws InputError.
std::unique_ptr<ModelFile> open_gguf(const std::filesystem::path& path);

}  // namespace stepdown::formats
