#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/engine/formats/hf_folder.h"

namespace stepdown::quant {

/// HfFolder with rows of 32 and 64 columns, so that blocks fit, and weights that differ.
struct QuantizableFolder : formats::HfFolder {
  QuantizableFolder() {
    config["hidden_size"] = 32;
    config["intermediate_size"] = 64;
    const std::string layer = "model.layers.0.";
    fill("model.embed_tokens.weight", {6, 32});
    fill("model.norm.weight", {32});
    fill(layer + "input_layernorm.weight", {32});
    fill(layer + "post_attention_layernorm.weight", {32});
    fill(layer + "self_attn.q_proj.weight", {16, 32});
    fill(layer + "self_attn.k_proj.weight", {8, 32});
    fill(layer + "self_attn.v_proj.weight", {8, 32});
    fill(layer + "self_attn.o_proj.weight", {32, 16});
    fill(layer + "mlp.gate_proj.weight", {64, 32});
    fill(layer + "mlp.up_proj.weight", {64, 32});
    fill(layer + "mlp.down_proj.weight", {32, 64});
  }

  void fill(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t length : shape) count *= length;
    std::string bytes;
    for (std::int64_t i = 0; i < count; ++i) {  // binary16 of moderate exponent and either sign
      bytes += static_cast<char>(i * 37);
      bytes += static_cast<char>(0x28 + i % 7 + (i % 3 == 0 ? 0x80 : 0));
    }
    tensors[name] = {"F16", std::move(shape), bytes};
  }
};

}  // namespace stepdown::quant
