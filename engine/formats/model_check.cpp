#include "engine/formats/model_check.h"

namespace stepdown::formats {

std::string ModelPlace::config(const ModelConfig& config, std::string_view gguf_key,
                               std::string_view hf_key) const {
  if (!gguf) return (path / "config.json").string() + ": $." + std::string(hf_key);
  return path.string() + ": key '" + config.architecture + "." + std::string(gguf_key) + "'";
}

std::string ModelPlace::tokenizer(std::string_view gguf_key, std::string_view hf_key) const {
  if (!gguf) return (path / "tokenizer.json").string() + ": $." + std::string(hf_key);
  return path.string() + ": key 'tokenizer.ggml." + std::string(gguf_key) + "'";
}

std::string ModelPlace::tensor(std::string_view name) const {
  return path.string() + ": tensor '" + std::string(name) + "'";
}

void check_model(const ModelConfig& config, const TokenizerData& tokenizer,
                 std::span<const TensorView> tensors, const ModelPlace& place) {
  check_config(config, place);
  check_tokenizer(tokenizer, config.vocab, place);
  check_tensors(config, tensors, place);
}

}  // namespace stepdown::formats
