#include "engine/formats/model_check.h"

#include <cmath>
#include <functional>
#include <limits>

#include "tests/unit/engine/formats/hf_folder.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/formats/gguf_writer.h"
#include "engine/formats/inspection.h"

namespace stepdown::formats {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The model of HfFolder as a GGUF file in parts, to be spoiled one at a time.
struct GgufParts {
  GgufParts() {
    HfFolder hf;
    hf.write();
    const auto model = open_model(hf.folder.path());
    metadata = model->gguf_metadata();
    for (const TensorView& tensor : model->tensors()) {
      tensors.push_back({tensor.name, tensor.type, tensor.shape});
      model->prepare(tensor);
      bytes.emplace_back(tensor.data.begin(), tensor.data.end());
    }
  }

  GgufTensor& tensor(std::string_view name) { return *std::ranges::find(tensors, name, &GgufTensor::name); }
  void add(const std::string& name, std::vector<float> values) {
    tensors.push_back({name, DType::kF32, {static_cast<std::int64_t>(values.size())}});
    const auto data = std::as_bytes(std::span(values));
    bytes.emplace_back(data.begin(), data.end());
  }
  void drop(std::string_view name) {
    const auto at = std::ranges::find(tensors, name, &GgufTensor::name) - tensors.begin();
    tensors.erase(tensors.begin() + at);
    bytes.erase(bytes.begin() + at);
  }
  void set(const std::string& key, float value) { metadata[key] = GgufValue::of(value); }
  void set_count(const std::string& key, std::uint32_t value) { metadata[key] = GgufValue::of(value); }

  void write(const std::filesystem::path& path) const {
    GgufWriter writer(path, metadata, tensors);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      auto data = bytes[i];
      data.resize(tensors[i].bytes());
      writer.write(data);
    }
    writer.finish();
  }

  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;
  std::vector<std::vector<std::byte>> bytes;
};

struct Lie {
  const char* name;
  std::function<void(GgufParts&)> spoil;
  const char* where;
  const char* says;
};

std::string error_of(const std::filesystem::path& path) {
  try {
    inspect(path);
  } catch (const InputError& error) {
    EXPECT_FALSE(error.mend().empty()) << error.what();
    return error.what();
  }
  return "opened without complaint";
}

TEST(ModelCheck, LyingGgufFilesAreOneClearError) {
  const Lie lies[] = {
      {"rope NaN", [](GgufParts& f) { f.set("llama.rope.freq_base", kNan); }, "'llama.rope.freq_base'",
       "is nan, not between"},
      {"rope negative", [](GgufParts& f) { f.set("llama.rope.freq_base", -1e4f); }, "'llama.rope.freq_base'",
       "is -10000"},
      {"rope zero", [](GgufParts& f) { f.set("llama.rope.freq_base", 0); }, "'llama.rope.freq_base'", "is 0"},
      {"rope infinite", [](GgufParts& f) { f.set("llama.rope.freq_base", kInfinity); },
       "'llama.rope.freq_base'", "is inf"},
      {"epsilon NaN", [](GgufParts& f) { f.set("llama.attention.layer_norm_rms_epsilon", kNan); },
       "layer_norm_rms_epsilon'", "is nan"},
      {"epsilon zero", [](GgufParts& f) { f.set("llama.attention.layer_norm_rms_epsilon", 0); },
       "layer_norm_rms_epsilon'", "is 0"},
      {"epsilon negative", [](GgufParts& f) { f.set("llama.attention.layer_norm_rms_epsilon", -1); },
       "layer_norm_rms_epsilon'", "is -1"},
      {"scaling factor",
       [](GgufParts& f) {
         f.metadata["llama.rope.scaling.type"] = GgufValue::of_text("linear");
         f.set("llama.rope.scaling.factor", kInfinity);
       },
       "'llama.rope.scaling.factor'", "is inf"},
      {"yarn without context",
       [](GgufParts& f) {
         f.metadata["llama.rope.scaling.type"] = GgufValue::of_text("yarn");
         f.set("llama.rope.scaling.factor", 4);
         f.set_count("llama.rope.scaling.original_context_length", 0);
       },
       "original_context_length'", "YaRN"},
      {"yarn turns",
       [](GgufParts& f) {
         f.metadata["llama.rope.scaling.type"] = GgufValue::of_text("yarn");
         f.set("llama.rope.scaling.factor", 4);
         f.set("llama.rope.scaling.yarn_beta_fast", 1);
       },
       "yarn_beta_fast'", "beta_slow"},
      {"rope factors NaN",
       [](GgufParts& f) {
         f.add("rope_freqs.weight", {1, 1, kNan, 8});
       },
       "'rope_freqs.weight'", "factor 2 is nan"},
      {"rope factors short",
       [](GgufParts& f) {
         f.add("rope_freqs.weight", {1, 1, 8});
       },
       "'rope_freqs.weight'", "one F32 factor"},
      {"logit scale", [](GgufParts& f) { f.set("llama.logit_scale", 0); }, "'llama.logit_scale'", "is inf"},
      {"softcap", [](GgufParts& f) { f.set("llama.attn_logit_softcapping", kNan); }, "softcapping'",
       "is nan"},
      {"layers", [](GgufParts& f) { f.set_count("llama.block_count", 1000000); }, "'llama.block_count'",
       "is 1000000, not between"},
      {"layers over tensors", [](GgufParts& f) { f.set_count("llama.block_count", 100); },
       "'llama.block_count'", "only 11 tensors"},
      {"more layers", [](GgufParts& f) { f.set_count("llama.block_count", 2); }, "'blk.1.", "is missing"},
      {"fewer layers", [](GgufParts& f) { f.tensor("blk.0.attn_q.weight").name = "blk.1.attn_q.weight"; },
       "'blk.1.attn_q.weight'", "does not belong"},
      {"context", [](GgufParts& f) { f.set_count("llama.context_length", 1 << 30); }, "context_length'",
       "is 1073741824"},
      {"vocabulary", [](GgufParts& f) { f.set_count("llama.vocab_size", 7); }, "'tokenizer.ggml.tokens'",
       "6 tokens for a vocabulary of 7"},
      {"embeddings", [](GgufParts& f) { f.tensor("token_embd.weight").shape[0] = 5; }, "'token_embd.weight'",
       "[5, 8], but the header asks for [6, 8]"},
      {"hidden", [](GgufParts& f) { f.set_count("llama.embedding_length", 16); }, "tensor '",
       "but the header asks for"},
      {"heads", [](GgufParts& f) { f.set_count("llama.attention.head_count", 4); }, "'blk.0.attn_q.weight'",
       "asks for [32, 8]"},
      {"heads for keys", [](GgufParts& f) { f.set_count("llama.attention.head_count_kv", 0); },
       "head_count_kv'", "is 0"},
      {"heads apart",
       [](GgufParts& f) {
         f.set_count("llama.attention.head_count", 3), f.set_count("llama.attention.head_count_kv", 2);
       },
       "head_count_kv'", "does not divide"},
      {"head length", [](GgufParts& f) { f.set_count("llama.attention.key_length", 4); },
       "'llama.rope.dimension_count'", "longer than a head"},
      {"feed forward", [](GgufParts& f) { f.set_count("llama.feed_forward_length", 13); }, "'blk.0.ffn_",
       "13"},
      {"experts", [](GgufParts& f) { f.set_count("llama.expert_count", 8); }, "'llama.expert_used_count'",
       "one expert"},
      {"norm missing", [](GgufParts& f) { f.drop("output_norm.weight"); }, "'output_norm.weight'",
       "is missing"},
      {"stray tensor", [](GgufParts& f) { f.add("blk.0.attn_output.bias", {1}); }, "attn_output.bias'",
       "does not belong"},
      {"too many tokens",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.tokens"] =
             GgufValue::of_texts(std::vector<std::string>{"<|im_end|>", "a", "b", "ab", "<tool>", "x", "y"});
         f.metadata.erase("tokenizer.ggml.token_type");
       },
       "'tokenizer.ggml.tokens'", "7 tokens for a vocabulary of 6"},
      {"token twice",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.tokens"] =
             GgufValue::of_texts(std::vector<std::string>{"<|im_end|>", "a", "b", "ab", "a", "x"});
       },
       "'tokenizer.ggml.tokens'", "tokens 1 and 4 are both 'a'"},
      {"merge of nothing",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.merges"] = GgufValue::of_texts(std::vector<std::string>{"a q"});
       },
       "'tokenizer.ggml.merges'", "'q' is no token"},
      {"merge into nothing",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.merges"] = GgufValue::of_texts(std::vector<std::string>{"a b", "b a"});
       },
       "'tokenizer.ggml.merges'", "merge 1 is 'b a', but 'ba' is no token"},
      {"half a merge",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.merges"] = GgufValue::of_texts(std::vector<std::string>{"ab"});
       },
       "'tokenizer.ggml.merges'", "not 'left right'"},
      {"no merges", [](GgufParts& f) { f.metadata.erase("tokenizer.ggml.merges"); },
       "'tokenizer.ggml.merges'", "is missing"},
      {"scores",
       [](GgufParts& f) {
         f.metadata["tokenizer.ggml.model"] = GgufValue::of_text("llama");
         f.metadata["tokenizer.ggml.scores"] = GgufValue::of_floats(std::vector<float>{0, 1, 2, kNan, 3, 4});
       },
       "'tokenizer.ggml.scores'", "the score of token 3"},
      {"end of text", [](GgufParts& f) { f.set_count("tokenizer.ggml.eos_token_id", 6); }, "eos_token_id'",
       "is 6"},
  };
  for (const Lie& lie : lies) {
    const TempFolder folder;
    GgufParts parts;
    lie.spoil(parts);
    parts.write(folder / "model.gguf");
    for (const auto& path : {folder / "model.gguf", folder.path()}) {
      const std::string error = error_of(path);
      EXPECT_NE(error.find(lie.says), std::string::npos) << lie.name << ": " << error;
      EXPECT_NE(error.find(lie.where), std::string::npos) << lie.name << ": " << error;
      EXPECT_NE(error.find((folder / "model.gguf").string()), std::string::npos) << lie.name << ": " << error;
    }
  }
}

TEST(ModelCheck, OverlappingTensorsAreNamed) {
  const TempFolder folder;
  GgufParts().write(folder / "model.gguf");
  std::string bytes = read_file(folder / "model.gguf");
  const std::string name = "blk.0.ffn_up.weight";
  const std::size_t offset = bytes.find(name) + name.size() + 4 + 2 * 8 + 4;
  std::uint64_t at = 0;
  std::memcpy(&at, bytes.data() + offset, sizeof at);
  at -= 32;
  std::memcpy(bytes.data() + offset, &at, sizeof at);
  write_file(folder / "model.gguf", bytes);
  const std::string error = error_of(folder / "model.gguf");
  EXPECT_NE(error.find("tensor '" + name + "': overlaps tensor 'blk.0.ffn_gate.weight'"), std::string::npos)
      << error;
}

TEST(ModelCheck, LyingFoldersAreOneClearError) {
  const struct {
    const char* name;
    std::function<void(HfFolder&)> spoil;
    const char* where;
    const char* says;
  } lies[] = {
      {"rope", [](HfFolder& f) { f.config["rope_theta"] = -10000.0; }, "config.json: $.rope_theta",
       "is -10000"},
      {"rope zero", [](HfFolder& f) { f.config["rope_theta"] = 0; }, "config.json: $.rope_theta", "is 0"},
      {"rope above floats", [](HfFolder& f) { f.config["rope_theta"] = 1e300; }, "config.json: $.rope_theta",
       "is inf"},
      {"epsilon", [](HfFolder& f) { f.config["rms_norm_eps"] = -1e-5; }, "config.json: $.rms_norm_eps",
       "is -1e-05"},
      {"linear scaling",
       [](HfFolder& f) {
         f.config["rope_scaling"] = {{"type", "linear"}, {"factor", -2}};
       },
       "config.json: $.rope_scaling.factor", "is -2"},
      {"yarn scaling",
       [](HfFolder& f) {
         f.config["rope_scaling"] = {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 0.5}};
       },
       "config.json: $.rope_scaling.beta_fast", "beta_slow"},
      {"llama3 scaling",
       [](HfFolder& f) {
         f.config["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", -8}};
       },
       "config.json: $.rope_scaling", "factors out of order"},
      {"context", [](HfFolder& f) { f.config["max_position_embeddings"] = 1 << 30; },
       "config.json: $.max_position_embeddings", "not between"},
      {"odd head", [](HfFolder& f) { f.config["head_dim"] = 7; }, "config.json: $.head_dim", "not even"},
      {"no head", [](HfFolder& f) { f.config.erase("head_dim"), f.config["num_attention_heads"] = 16; },
       "config.json: $.head_dim", "is 0"},
      {"layers", [](HfFolder& f) { f.config["num_hidden_layers"] = 1 << 29; },
       "config.json: $.num_hidden_layers", "not between"},
      {"vocabulary", [](HfFolder& f) { f.config["vocab_size"] = 1 << 29; }, "config.json: $.vocab_size",
       "not between"},
      {"merge", [](HfFolder& f) { f.tokenizer["model"]["merges"] = {"a zz"}; },
       "tokenizer.json: $.model.merges", "'zz' is no token"},
      {"added token twice", [](HfFolder& f) { f.tokenizer["added_tokens"][1]["content"] = "b"; },
       "tokenizer.json: $.model.vocab", "tokens 2 and 4 are both 'b'"},
  };
  for (const auto& lie : lies) {
    HfFolder hf;
    lie.spoil(hf);
    hf.write();
    const std::string error = error_of(hf.folder.path());
    EXPECT_NE(error.find(lie.says), std::string::npos) << lie.name << ": " << error;
    EXPECT_NE(error.find(lie.where), std::string::npos) << lie.name << ": " << error;
    EXPECT_NE(error.find(hf.folder.path().string()), std::string::npos) << lie.name << ": " << error;
  }
}

TEST(ModelCheck, WhatRealFilesHaveIsNoLie) {
  const std::function<void(GgufParts&)> truths[] = {
      [](GgufParts&) {},
      [](GgufParts& f) {
        f.add("rope_freqs.weight", {1, 1, 4, 8});
      },
      [](GgufParts& f) { f.metadata.erase("llama.vocab_size"); },
      [](GgufParts& f) { f.add("blk.0.attn_q.bias", std::vector<float>(16)); },
      [](GgufParts& f) { f.set_count("tokenizer.ggml.bos_token_id", ~0U); },
      [](GgufParts& f) { f.set("general.architecture_version", 1); },
  };
  for (const auto& change : truths) {
    const TempFolder folder;
    GgufParts parts;
    change(parts);
    parts.write(folder / "model.gguf");
    EXPECT_EQ(error_of(folder / "model.gguf"), "opened without complaint");
  }
}

}  // namespace
}  // namespace stepdown::formats
