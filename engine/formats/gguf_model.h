#pragma once

#include <span>
#include <string>

#include "engine/base/tensor.h"
#include "engine/formats/gguf_metadata.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// What GGUF's metadata say about the decoder. Throws InputError naming the missing or wrong key.
ModelConfig config_from_gguf(const GgufMetadata& metadata, std::span<const TensorView> tensors,
                             const std::string& file);

/// What GGUF's metadata say about the tokenizer; all ids and lengths agree with the token list afterwards.
TokenizerData tokenizer_from_gguf(const GgufMetadata& metadata, const std::string& file);

/// The same facts as metadata of a new GGUF file (without general.file_type, which its writer knows).
GgufMetadata gguf_from_model(const ModelConfig& config, const TokenizerData& tokenizer);

}  // namespace stepdown::formats
