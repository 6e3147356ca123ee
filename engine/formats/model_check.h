#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/tensor.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Where the parts of a model stand, for errors.
struct ModelPlace {
  std::filesystem::path path;  ///< the .gguf file or the Hugging Face folder
  bool gguf = false;

  /// Of a field of the configuration, under the name that the file has for it.
  std::string config(const ModelConfig& config, std::string_view gguf_key, std::string_view hf_key) const;
  std::string tokenizer(std::string_view gguf_key, std::string_view hf_key) const;
  std::string tensor(std::string_view name) const;
};

/// Refuses a model whose parts cannot be computed with or contradict each other, though each of them could be
/// read: numbers out of any range (NaN and infinity too), lengths that no tensor has, a tokenizer that does
/// not fit itself or the vocabulary. open_model() ends here, so that no command takes what another refuses.
/// Pure; reads headers and the tokenizer, of the weights only rope_freqs. Throws InputError.
void check_model(const ModelConfig& config, const TokenizerData& tokenizer,
                 std::span<const TensorView> tensors, const ModelPlace& place);

/// Its three parts; each stands in a file of its own.
void check_config(const ModelConfig& config, const ModelPlace& place);
void check_tokenizer(const TokenizerData& tokenizer, std::int64_t vocab, const ModelPlace& place);
/// Of architectures that the engine runs: every tensor that the configuration asks for is there in its shape,
/// and no other.
void check_tensors(const ModelConfig& config, std::span<const TensorView> tensors, const ModelPlace& place);

}  // namespace stepdown::formats
