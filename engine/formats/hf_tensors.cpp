#include "engine/formats/hf_tensors.h"

#include <array>
#include <cstring>
#include <string_view>

namespace stepdown::formats {
namespace {

using Length = std::int64_t (*)(const ModelConfig&);

std::int64_t hidden(const ModelConfig& c) {
  return c.hidden;
}
std::int64_t feed_forward(const ModelConfig& c) {
  return c.feed_forward;
}
std::int64_t query_rows(const ModelConfig& c) {
  return c.heads * c.head_dim;
}
std::int64_t key_rows(const ModelConfig& c) {
  return c.kv_heads * c.head_dim;
}
std::int64_t heads(const ModelConfig& c) {
  return c.heads;
}
std::int64_t kv_heads(const ModelConfig& c) {
  return c.kv_heads;
}

struct LayerTensor {
  std::string_view hf;
  std::string_view gguf;
  Length rows;
  Length columns;         ///< nullptr: a vector
  Length permuted_heads;  ///< nullptr: as it is
};

constexpr std::array kLayer = {
    LayerTensor{"input_layernorm", "attn_norm", hidden, nullptr, nullptr},
    LayerTensor{"self_attn.q_proj", "attn_q", query_rows, hidden, heads},
    LayerTensor{"self_attn.k_proj", "attn_k", key_rows, hidden, kv_heads},
    LayerTensor{"self_attn.v_proj", "attn_v", key_rows, hidden, nullptr},
    LayerTensor{"self_attn.o_proj", "attn_output", hidden, query_rows, nullptr},
    LayerTensor{"post_attention_layernorm", "ffn_norm", hidden, nullptr, nullptr},
    LayerTensor{"mlp.gate_proj", "ffn_gate", feed_forward, hidden, nullptr},
    LayerTensor{"mlp.up_proj", "ffn_up", feed_forward, hidden, nullptr},
    LayerTensor{"mlp.down_proj", "ffn_down", hidden, feed_forward, nullptr},
};

}  // namespace

std::vector<HfTensor> hf_tensors(const ModelConfig& config) {
  std::vector<HfTensor> all;
  if (!config.tied_embeddings)
    all.push_back({"lm_head.weight", "output.weight", {config.vocab, config.hidden}});
  all.push_back({"model.embed_tokens.weight", "token_embd.weight", {config.vocab, config.hidden}});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string number = std::to_string(layer);
    for (const LayerTensor& row : kLayer) {
      HfTensor tensor{"model.layers." + number + "." + std::string(row.hf) + ".weight",
                      "blk." + number + "." + std::string(row.gguf) + ".weight",
                      {row.rows(config)}};
      if (row.columns != nullptr) tensor.shape.push_back(row.columns(config));
      if (row.permuted_heads != nullptr) tensor.permuted_heads = row.permuted_heads(config);
      all.push_back(std::move(tensor));
    }
  }
  all.push_back({"model.norm.weight", "output_norm.weight", {config.hidden}});
  return all;
}

bool hf_tensor_is_redundant(std::string_view hf_name, const ModelConfig& config) {
  return hf_name.ends_with("rotary_emb.inv_freq") || (config.tied_embeddings && hf_name == "lm_head.weight");
}

std::vector<std::byte> permute_rope_rows(const TensorView& tensor, std::int64_t heads) {
  std::vector<std::byte> result(tensor.data.size());
  const auto rows = static_cast<std::size_t>(tensor.rows());
  const std::size_t row_size = tensor.data.size() / rows;
  const std::size_t head_rows = rows / static_cast<std::size_t>(heads);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % head_rows;
    const std::size_t source = row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
    std::memcpy(result.data() + row * row_size, tensor.data.data() + source * row_size, row_size);
  }
  return result;
}

}  // namespace stepdown::formats
