#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Opens the files of one model, as gguf_shards() lists them, by memory map. Throws InputError.
std::unique_ptr<ModelFile> open_gguf(const std::vector<std::filesystem::path>& shards);

}  // namespace stepdown::formats
