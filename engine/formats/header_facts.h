#pragma once

#include <filesystem>
#include <string>

#include "engine/formats/gguf_metadata.h"
#include "engine/formats/json_view.h"
#include "engine/memory/memory_model.h"

namespace stepdown::formats {

/// What a model's headers say, of any architecture, whether the engine can run it or not: enough to judge
/// memory and compatibility before anything is loaded. No weight is read.
struct HeaderFacts {
  std::string format;  ///< gguf, safetensors, or what config.json's quantization_config says: awq, gptq, …
  std::string architecture;  ///< as the file names it
  std::int64_t context_length = 0;
  std::int64_t weights = 0;     ///< bytes of all tensors, as headers state them
  std::int64_t parameters = 0;  ///< elements of all tensors; 0: the format packs them, or headers do not tell
  std::int64_t intermediate = 0;  ///< width of the feed-forward layers, an expert's where there are experts
  memory::Shape shape;
  memory::AttentionHeader attention;
};

/// A GGUF file, a folder with one, or a Hugging Face folder. Throws InputError.
HeaderFacts read_header_facts(const std::filesystem::path& path);

HeaderFacts header_facts(const JsonView& config);
HeaderFacts header_facts(const GgufMetadata& metadata);

/// Whether the engine has a reader for such a model: for its architecture, and for how its weights are coded.
/// Of what is no model too: its readers say best what is wrong.
bool has_reader(const std::filesystem::path& path);

}  // namespace stepdown::formats
