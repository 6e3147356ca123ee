#include "engine/memory/cache_layout.h"

#include <gtest/gtest.h>

#include "engine/memory/engines.h"
#include "engine/memory/memory_model.h"

namespace stepdown::memory {
namespace {

struct LayoutCase {
  const char* name;
  AttentionHeader header;
  std::int64_t per_token;
  std::int64_t windowed_per_token;
  std::int64_t heads;
};

// Headers as the models' config.json state them.
TEST(KvCost, FollowsTheArchitecture) {
  const LayoutCase cases[] = {
      {"llama 3.1 8B", {.architecture = "llama", .layers = 32, .kv_heads = 8, .key_dim = 128}, 131072, 0, 8},
      {"mistral 7B v0.1 slides everywhere",
       {.architecture = "mistral", .layers = 32, .kv_heads = 8, .key_dim = 128, .window = 4096},
       0,
       131072,
       8},
      {"mistral 7B v0.3 has no window",
       {.architecture = "mistral", .layers = 32, .kv_heads = 8, .key_dim = 128},
       131072,
       0,
       8},
      {"gemma 2 9B slides every other layer",
       {.architecture = "gemma2", .layers = 42, .kv_heads = 8, .key_dim = 256, .window = 4096},
       21 * 8 * 512 * 2,
       21 * 8 * 512 * 2,
       8},
      {"gemma 3 12B keeps one layer of six",
       {.architecture = "gemma3_text", .layers = 48, .kv_heads = 8, .key_dim = 256, .window = 1024},
       8 * 8 * 512 * 2,
       40 * 8 * 512 * 2,
       8},
      {"a listed header wins over the habit",
       {.architecture = "gemma3_text",
        .layers = 48,
        .kv_heads = 8,
        .key_dim = 256,
        .window = 1024,
        .window_layers = 24,
        .lists_layers = true},
       24 * 8 * 512 * 2,
       24 * 8 * 512 * 2,
       8},
      {"deepseek v3 keeps one latent of 512 + 64",
       {.architecture = "deepseek_v3",
        .layers = 61,
        .kv_heads = 128,
        .key_dim = 56,
        .latent_dim = 512,
        .rope_dim = 64},
       61 * 576 * 2,
       0,
       1},
      {"gemma 3n shares the cache of 15 of 35 layers",
       {.architecture = "gemma3n_text",
        .layers = 35,
        .kv_heads = 2,
        .key_dim = 256,
        .window = 512,
        .shared_layers = 15},
       4 * 2 * 512 * 2,
       16 * 2 * 512 * 2,
       2},
      {"a header's own period wins over the habit",
       {.architecture = "gemma3_text",
        .layers = 48,
        .kv_heads = 8,
        .key_dim = 256,
        .window = 1024,
        .period = 4},
       12 * 8 * 512 * 2,
       36 * 8 * 512 * 2,
       8},
      {"a deepseek file that was converted without its latent keeps all heads",
       {.architecture = "deepseek2",
        .layers = 27,
        .kv_heads = 16,
        .key_dim = 192,
        .value_dim = 128,
        .latent_dim = 512,
        .rope_dim = 64,
        .latent_is_expanded = true},
       27 * 16 * 320 * 2,
       0,
       16},
      {"minicpm 3 has latent weights, and keeps all heads",
       {.architecture = "minicpm3",
        .layers = 62,
        .kv_heads = 40,
        .key_dim = 96,
        .value_dim = 96,
        .latent_dim = 256,
        .rope_dim = 32},
       62 * 40 * 192 * 2,
       0,
       40},
      {"values narrower than keys",
       {.architecture = "llama", .layers = 2, .kv_heads = 4, .key_dim = 192, .value_dim = 128},
       2 * 4 * 320 * 2,
       0,
       4},
  };
  for (const LayoutCase& test : cases) {
    const auto cost = kv_cost(test.header);
    ASSERT_TRUE(cost.has_value()) << test.name;
    EXPECT_EQ(cost->per_token, test.per_token) << test.name;
    EXPECT_EQ(cost->windowed_per_token, test.windowed_per_token) << test.name;
    EXPECT_EQ(cost->heads, test.heads) << test.name;
  }
}

TEST(KvCost, UnknownCachesFailClosed) {
  const AttentionHeader unknown[] = {
      {.architecture = "mamba2", .layers = 64, .kv_heads = 8, .key_dim = 128},
      {.architecture = "", .layers = 64, .kv_heads = 8, .key_dim = 128},
      {.architecture = "llama", .layers = 0, .kv_heads = 8, .key_dim = 128},
      {.architecture = "llama", .layers = 32, .kv_heads = 0, .key_dim = 128},
      {.architecture = "gemma3", .layers = 48, .kv_heads = 8, .key_dim = 256},
      {.architecture = "deepseek_v3", .layers = 61, .kv_heads = 128, .key_dim = 56},
      {.architecture = "qwen3",
       .layers = 48,
       .kv_heads = 2,
       .key_dim = 256,
       .lists_layers = true,
       .foreign_layers = true},
      {.architecture = "gemma3",
       .layers = 4,
       .kv_heads = 1,
       .key_dim = 8,
       .window = 8,
       .window_layers = 9,
       .lists_layers = true},
  };
  for (const AttentionHeader& header : unknown)
    EXPECT_FALSE(kv_cost(header).has_value()) << header.architecture;
}

TEST(KvCost, OnlyEnginesThatFreeTheWindowSaveByIt) {
  const auto cost =
      kv_cost({.architecture = "mistral", .layers = 32, .kv_heads = 8, .key_dim = 128, .window = 4096});
  const std::int64_t kept = kv_bytes_per_sequence(*cost, {32768, 1}, {});
  EXPECT_EQ(kept, std::int64_t{32768} * 131072);
  EXPECT_EQ(kv_bytes_per_sequence(*cost, {32768, 1}, {.frees_window = true}),
            std::int64_t{4096 + 256} * 131072);
  EXPECT_EQ(kv_bytes_per_sequence(*cost, {1024, 1}, {.frees_window = true}), std::int64_t{1024} * 131072);
}

// DeepSeek V3's latent is 576 elements, its 128 heads with padded values 49,152: huggingface/text-generation-
// inference, flash_deepseek_v3_modeling.py.
TEST(KvCost, AnEngineThatExpandsTheLatentPaysForAllHeads) {
  const auto cost = kv_cost({.architecture = "deepseek_v3",
                             .layers = 61,
                             .kv_heads = 128,
                             .key_dim = 192,
                             .value_dim = 192,
                             .latent_dim = 512,
                             .rope_dim = 64});
  ASSERT_TRUE(cost);
  const Load load{.context = 64, .sequences = 1, .accelerators = 8};
  EXPECT_EQ(kv_bytes_per_sequence(*cost, load, engine_traits("vllm")), std::int64_t{64} * 61 * 576 * 2 * 8)
      << "each accelerator needs the whole latent";
  EXPECT_EQ(kv_bytes_per_sequence(*cost, load, engine_traits("tgi")), std::int64_t{64} * 61 * 128 * 384 * 2);
}

// gpt-oss 20B: 24 layers, every other one with a window of 128. llama.cpp keeps 128 + 512 tokens of it, in
// pages of 256 (llama-kv-cache-iswa.cpp).
TEST(KvCost, LlamaCppKeepsAStepBesideTheWindow) {
  const auto cost =
      kv_cost({.architecture = "gpt-oss", .layers = 24, .kv_heads = 8, .key_dim = 64, .window = 128});
  ASSERT_TRUE(cost);
  constexpr std::int64_t kLayer = 8 * 128 * 2;
  EXPECT_EQ(kv_bytes_per_sequence(*cost, {8192, 1}, engine_traits("llama.cpp")), 12 * kLayer * (8192 + 768));
}

}  // namespace
}  // namespace stepdown::memory
