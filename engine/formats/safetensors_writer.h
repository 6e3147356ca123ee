#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "engine/base/tensor.h"

namespace stepdown::formats {

/// Writes one safetensors file durably: header, then the tensors' bytes in the order given; "format": "pt"
/// among its metadata, which loaders ask for. Written under a hidden name, fsynced, renamed: a file of the
/// final name is whole.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors);

/// Writes model.safetensors.index.json. `files`: the shard that holds each tensor.
void write_safetensors_index(const std::filesystem::path& folder,
                             const std::map<std::string, std::string>& files, std::uint64_t total_bytes);

}  // namespace stepdown::formats
