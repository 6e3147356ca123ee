#include "engine/formats/header_facts.h"

#include <gtest/gtest.h>

namespace stepdown::formats {
namespace {

memory::AttentionHeader attention_of(const std::string& config) {
  return header_facts(JsonView::parse(config, "config.json")).attention;
}

memory::AttentionHeader attention_of(const std::string& architecture, std::map<std::string, GgufValue> keys) {
  GgufMetadata metadata{{"general.architecture", GgufValue::of_text(architecture)}};
  for (auto& [key, value] : keys) metadata.emplace(architecture + "." + key, std::move(value));
  return header_facts(metadata).attention;
}

GgufValue flags(std::initializer_list<bool> values) {
  GgufValue out{.type = GgufType::kBool, .array = true, .count = values.size(), .bytes = ""};
  for (const bool each : values) out.bytes += each ? '\1' : '\0';
  return out;
}

struct HeadsCase {
  const char* name;
  const char* config;
  std::int64_t layers, kv_heads, key_dim;
};

// As the models' own config.json on the Hub.
TEST(HeaderFacts, ReadsWhatEachFamilyCallsItsHeads) {
  const HeadsCase cases[] = {
      {"Llama 3.1 8B",
       R"({"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8})",
       32, 8, 128},
      {"Falcon 7B",
       R"({"model_type": "falcon", "num_hidden_layers": 32, "hidden_size": 4544, "num_attention_heads": 71, "multi_query": true, "new_decoder_architecture": false})",
       32, 1, 64},
      {"Falcon 40B",
       R"({"model_type": "falcon", "num_hidden_layers": 60, "hidden_size": 8192, "num_attention_heads": 128, "num_kv_heads": 8, "multi_query": true, "new_decoder_architecture": true})",
       60, 8, 64},
      {"EXAONE 3.5 7.8B",
       R"({"model_type": "exaone", "num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128})",
       32, 8, 128},
      {"Gemma 3 4B, which leaves out what transformers takes for granted",
       R"({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}})",
       34, 4, 256},
      {"Gemma 3 12B",
       R"({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 3840, "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8}})",
       48, 8, 256},
      {"GPT-2", R"({"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12})", 12, 12, 64},
      {"MiniCPM3 4B",
       R"({"model_type": "minicpm3", "num_hidden_layers": 62, "hidden_size": 2560, "num_attention_heads": 40, "num_key_value_heads": 40, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "kv_lora_rank": 256})",
       62, 40, 96},
  };
  for (const HeadsCase& test : cases) {
    const auto found = attention_of(test.config);
    EXPECT_EQ(found.layers, test.layers) << test.name;
    EXPECT_EQ(found.kv_heads, test.kv_heads) << test.name;
    EXPECT_EQ(found.key_dim, test.key_dim) << test.name;
  }
}

TEST(HeaderFacts, ReadsHowLayersSlide) {
  const auto listed = attention_of(
      R"({"model_type": "olmo3", "sliding_window": 4096, "layer_types": ["sliding_attention", "full_attention"]})");
  EXPECT_TRUE(listed.lists_layers);
  EXPECT_EQ(listed.window_layers, 1);
  EXPECT_EQ(attention_of(R"({"model_type": "gemma3_text", "sliding_window_pattern": 6})").period, 6);
  const auto linear =
      attention_of(R"({"model_type": "qwen3", "layer_types": ["linear_attention", "full_attention"]})");
  EXPECT_TRUE(linear.foreign_layers);
}

TEST(HeaderFacts, ReadsHowLayersOfAGgufFileSlide) {
  const auto listed =
      attention_of("olmo2", {{"attention.sliding_window", GgufValue::of(4096U)},
                             {"attention.sliding_window_pattern", flags({true, true, false})}});
  EXPECT_TRUE(listed.lists_layers);
  EXPECT_EQ(listed.window_layers, 2);
  EXPECT_EQ(attention_of("gemma3", {{"attention.sliding_window_pattern", GgufValue::of(4U)}}).period, 4);
  EXPECT_EQ(attention_of("gemma2", {}).window, 4096) << "what llama.cpp takes where a file says nothing";
  EXPECT_EQ(attention_of("llama4", {}).window, 8192);
  EXPECT_EQ(attention_of("llama4", {{"attention.sliding_window", GgufValue::of(0U)}}).window, 0);
  EXPECT_EQ(attention_of("llama", {}).window, 0);
}

TEST(HeaderFacts, AGgufFileOfLatentAttentionTellsWhetherItsLatentIsKept) {
  EXPECT_TRUE(attention_of("deepseek2", {}).latent_is_expanded);
  EXPECT_FALSE(
      attention_of("deepseek2", {{"attention.key_length_mla", GgufValue::of(192U)}}).latent_is_expanded);
}

}  // namespace
}  // namespace stepdown::formats
