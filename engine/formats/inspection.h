#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/formats/model_file.h"
#include "engine/memory/memory_model.h"

namespace stepdown::formats {

memory::Shape memory_shape(const ModelConfig& config);

/// Bytes of all tensors.
std::int64_t weight_bytes(const ModelFile& model);

/// Of those, the matrices in ggml's 4-bit blocks, which llama.cpp keeps a second time on CPUs.
std::int64_t repackable_bytes(const ModelFile& model);

/// "sha256:…" over all that decides how text becomes tokens: the same for a model and its quantized GGUF.
std::string tokenizer_digest(const TokenizerData& tokenizer);

/// What `inspect --json` prints; ARCHITECTURE.md has its contract. Hashes the whole model.
nlohmann::json inspect(const std::filesystem::path& path);

}  // namespace stepdown::formats
