#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/engine/formats/temp_folder.h"
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"

namespace stepdown::formats {

/// A complete, tiny Llama checkpoint as Hugging Face writes it; tests change what they are about and write
/// it.
struct HfFolder {
  struct Tensor {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::string bytes;
  };

  HfFolder() {
    const auto matrix = [](std::int64_t rows, std::int64_t columns) {
      std::string bytes;
      for (std::int64_t i = 0; i < rows * columns; ++i) {
        // Row r of every matrix holds binary16 numbers whose bits are r, so that rows can be told apart.
        bytes += static_cast<char>(i / columns);
        bytes += '\0';
      }
      return Tensor{"F16", {rows, columns}, bytes};
    };
    const Tensor ones = {
        "BF16", {8}, std::string("\x80\x3f\x80\x3f\x80\x3f\x80\x3f\x80\x3f\x80\x3f\x80\x3f\x80\x3f", 16)};
    tensors["model.embed_tokens.weight"] = matrix(6, 8);
    tensors["model.norm.weight"] = ones;
    const std::string layer = "model.layers.0.";
    tensors[layer + "input_layernorm.weight"] = ones;
    tensors[layer + "post_attention_layernorm.weight"] = ones;
    tensors[layer + "self_attn.q_proj.weight"] = matrix(16, 8);
    tensors[layer + "self_attn.k_proj.weight"] = matrix(8, 8);
    tensors[layer + "self_attn.v_proj.weight"] = matrix(8, 8);
    tensors[layer + "self_attn.o_proj.weight"] = matrix(8, 16);
    tensors[layer + "mlp.gate_proj.weight"] = matrix(12, 8);
    tensors[layer + "mlp.up_proj.weight"] = matrix(12, 8);
    tensors[layer + "mlp.down_proj.weight"] = matrix(8, 12);
  }

  static std::string safetensors(const std::map<std::string, Tensor>& tensors) {
    nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      header[name] = {{"dtype", tensor.dtype},
                      {"shape", tensor.shape},
                      {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
      data += tensor.bytes;
    }
    return with_length(header.dump()) + data;
  }

  static std::string with_length(const std::string& header) {
    const std::uint64_t length = header.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    return bytes + header;
  }

  void write() const {
    write_file(folder / "config.json", config.dump());
    write_file(folder / "tokenizer.json", tokenizer.dump());
    write_file(folder / "tokenizer_config.json", tokenizer_config.dump());
    write_file(folder / "generation_config.json", generation_config.dump());
    write_file(folder / "model.safetensors", safetensors(tensors));
  }

  TempFolder folder;
  std::map<std::string, Tensor> tensors;
  nlohmann::json config =
      nlohmann::json::parse(R"({"model_type": "llama", "vocab_size": 6, "num_hidden_layers": 1,
      "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
      "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
      "hidden_act": "silu", "eos_token_id": 0})");
  nlohmann::json tokenizer = nlohmann::json::parse(R"({
      "added_tokens": [{"id": 0, "content": "<|im_end|>", "special": true}, {"id": 4, "content": "<tool>", "special": false}],
      "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                        {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
      "post_processor": null, "normalizer": null,
      "model": {"type": "BPE", "vocab": {"<|im_end|>": 0, "a": 1, "b": 2, "ab": 3}, "merges": [["a", "b"]]}})");
  nlohmann::json tokenizer_config = {{"eos_token", {{"content", "<|im_end|>"}}},
                                     {"chat_template", "{{ x }}"}};
  nlohmann::json generation_config = {{"eos_token_id", {0, 4}}};
};

}  // namespace stepdown::formats
