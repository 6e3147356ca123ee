#pragma once

#include <string>

#include "engine/formats/json_view.h"

namespace stepdown::formats {

/// GGUF's name ("smollm", "llama-bpe", …) of what tokenizer.json's pre_tokenizer does before byte-level BPE.
/// `whole_words` is the BPE model's ignore_merges. Throws InputError naming what is supported.
std::string pretokenizer_name(const JsonView& file, bool whole_words);

}  // namespace stepdown::formats
