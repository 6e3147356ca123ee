#pragma once

#include <filesystem>
#include <vector>

namespace stepdown::formats {

/// The .gguf files of a folder that make up one model: one file, or all that llama.cpp's gguf-split made of
/// one ("NAME-00001-of-00003.gguf", …), in their order. Empty when the folder has none; a file whose name
/// says "mmproj" is no model. Throws InputError when they are of several models, or when one of them is
/// missing.
std::vector<std::filesystem::path> gguf_shards(const std::filesystem::path& folder);

/// Throws InputError when a file's name tells that it is a part of a model: its digest would not pin the
/// rest.
void refuse_shard(const std::filesystem::path& file);

}  // namespace stepdown::formats
