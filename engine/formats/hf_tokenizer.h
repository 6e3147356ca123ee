#pragma once

#include <filesystem>

#include "engine/formats/json_view.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// The tokenizer of a Hugging Face folder: tokenizer.json (BPE, byte-level or with byte fallback), with
/// tokenizer_config.json, generation_config.json, chat_template.jinja and `config` (config.json) for special
/// tokens and the template. The list is filled up to `vocab` tokens with unused ones. Throws InputError.
TokenizerData tokenizer_from_hf(const std::filesystem::path& folder, const JsonView& config,
                                std::int64_t vocab);

/// tokenizer.json alone: vocabulary, merges, types, pre-tokenizer.
TokenizerData parse_tokenizer_json(const JsonView& file, std::int64_t vocab);

}  // namespace stepdown::formats
