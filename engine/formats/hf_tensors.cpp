#include "engine/formats/hf_tensors.h"

#include <cstring>
#include <string_view>

#include "engine/formats/hf_architecture.h"

namespace stepdown::formats {

std::vector<HfTensor> hf_tensors(const ModelConfig& config) {
  const HfArchitecture& architecture = hf_architecture(config);
  std::vector<HfTensor> all;
  if (!config.tied_embeddings)
    all.push_back({"lm_head.weight", "output.weight", {config.vocab, config.hidden}});
  all.push_back({"model.embed_tokens.weight", "token_embd.weight", {config.vocab, config.hidden}});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string number = std::to_string(layer);
    for (const HfLayerTensor& row : architecture.layer) {
      HfTensor tensor{"model.layers." + number + "." + std::string(row.hf),
                      "blk." + number + "." + std::string(row.gguf),
                      {row.rows(config)}};
      if (row.columns != nullptr) tensor.shape.push_back(row.columns(config));
      if (row.permuted_heads != nullptr) tensor.permuted_heads = row.permuted_heads(config);
      tensor.plus_one = architecture.norms_from_one && row.columns == nullptr;
      if (row.hf.find("{e}") != std::string_view::npos) tensor.experts = config.experts;
      all.push_back(std::move(tensor));
    }
  }
  all.push_back({"model.norm.weight", "output_norm.weight", {config.hidden}});
  all.back().plus_one = architecture.norms_from_one;
  return all;
}

bool hf_tensor_is_redundant(std::string_view hf_name, const ModelConfig& config) {
  return hf_name.ends_with("rotary_emb.inv_freq") || (config.tied_embeddings && hf_name == "lm_head.weight");
}

void permute_rope_rows(const TensorView& tensor, std::int64_t heads, std::span<std::byte> out) {
  const auto rows = static_cast<std::size_t>(tensor.rows());
  const std::size_t row_size = tensor.data.size() / rows;
  const std::size_t head_rows = rows / static_cast<std::size_t>(heads);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % head_rows;
    const std::size_t source = row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
    std::memcpy(out.data() + row * row_size, tensor.data.data() + source * row_size, row_size);
  }
}

}  // namespace stepdown::formats
