#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/engine/formats/hf_folder.h"

#include "engine/base/atomic_file.h"
#include "engine/base/half.h"

namespace stepdown::quant {

/// A random model of two layers, hidden 64, and prompts for it.
struct RandomModel : formats::HfFolder {
  /// Small embeddings give logits that lie near each other, as they must to learn from them.
  explicit RandomModel(float embedding_spread = 1.0f) {
    config["hidden_size"] = 64;
    config["intermediate_size"] = 128;
    config["num_hidden_layers"] = 2;
    config["num_attention_heads"] = 2;
    config["num_key_value_heads"] = 1;
    config["head_dim"] = 32;
    tensors.clear();
    fill("model.embed_tokens.weight", {6, 64}, embedding_spread);
    fill("model.norm.weight", {64}, 0.0f);
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      const std::string prefix = layer;
      fill(prefix + "input_layernorm.weight", {64}, 0.0f);
      fill(prefix + "post_attention_layernorm.weight", {64}, 0.0f);
      fill(prefix + "self_attn.q_proj.weight", {64, 64}, 0.1f);
      fill(prefix + "self_attn.k_proj.weight", {32, 64}, 0.1f);
      fill(prefix + "self_attn.v_proj.weight", {32, 64}, 0.1f);
      fill(prefix + "self_attn.o_proj.weight", {64, 64}, 0.1f);
      fill(prefix + "mlp.gate_proj.weight", {128, 64}, 0.1f);
      fill(prefix + "mlp.up_proj.weight", {128, 64}, 0.1f);
      fill(prefix + "mlp.down_proj.weight", {64, 128}, 0.1f);
    }
    write();
    std::string lines;
    for (int i = 0; i < 24; ++i)
      lines += "{\"text\": \"" + std::string(static_cast<std::size_t>(8 + i), 'a') + "\"}\n";
    write_file_atomically(prompts(), lines);
  }

  void fill(const std::string& name, std::vector<std::int64_t> shape, float spread) {
    std::int64_t count = 1;
    for (const std::int64_t length : shape) count *= length;
    std::string bytes;
    for (std::int64_t i = 0; i < count; ++i) {
      // Sums of uniform numbers, the same everywhere: the standard library's normal distribution is not.
      float value = 0;
      for (int k = 0; k < 6; ++k) value += static_cast<float>(random_() % 2001) / 1000.0f - 1.0f;
      const std::uint16_t half = f32_to_f16(spread == 0.0f ? 1.0f + 0.1f * value : spread * value);
      bytes.append(reinterpret_cast<const char*>(&half), sizeof(half));
    }
    tensors[name] = {"F16", std::move(shape), bytes};
  }

  std::filesystem::path prompts() const { return folder / "prompts.jsonl"; }

 private:
  std::mt19937 random_{5};
};

}  // namespace stepdown::quant
