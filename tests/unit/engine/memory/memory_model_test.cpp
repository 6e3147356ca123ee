#include "engine/memory/memory_model.h"

#include <limits>

#include <gtest/gtest.h>

namespace stepdown::memory {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
// Llama 3.1 8B: config.json and model.safetensors.index.json's total_size (meta-llama/Llama-3.1-8B-Instruct).
constexpr Shape kLlama8B = {32, 4096, 14336, 32, 8, 128, 128256};
constexpr std::int64_t kLlama8BWeights = 16'060'522'496;

Model llama8b(std::int64_t weights) {
  const auto kv =
      kv_cost({.architecture = "llama", .layers = 32, .kv_heads = 8, .key_dim = 128, .value_dim = 128});
  return {weights, kv.value(), activation_bytes(kLlama8B, 4)};
}

TEST(MemoryModel, KvOfLlama8BIs128KiBAToken) {
  EXPECT_EQ(llama8b(0).kv.per_token, 128 * 1024);
}

// The field guide measured about 18 GB.
TEST(MemoryModel, Llama8BAtFp16WithTwoSequencesOf8k) {
  const double gigabytes = static_cast<double>(estimate(llama8b(kLlama8BWeights), {8192, 2}).total()) / 1e9;
  EXPECT_GE(gigabytes, 17.5);
  EXPECT_LE(gigabytes, 18.5);
}

// hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4: total_size of its index.
TEST(MemoryModel, Llama8BAtAwqWithFp8KvIsItsHeadersAndTheStatedOverhead) {
  constexpr std::int64_t kAwq = 5'729'820'672;
  const EngineTraits vllm{.overhead = 3 * kGiB / 2, .scaleless = true};
  const Estimate found = estimate(llama8b(kAwq), {8192, 5, KvType::kFp8}, vllm);
  EXPECT_EQ(found.kv, 5 * 8192 * std::int64_t{64 * 1024});
  EXPECT_EQ(found.total(), kAwq + found.kv + activation_bytes(kLlama8B, 4) + vllm.overhead);
}

struct TypeCase {
  const char* name;
  KvType type;
  EngineTraits engine;
  std::int64_t bytes;  ///< of 64 tokens
};

// docs.vllm.ai/en/v0.25.0/features/quantization/quantized_kvcache: Qwen3-4B on an L4 holds 83,488 tokens
// in 11.47 GiB at BF16, 166,992 at FP8.
TEST(MemoryModel, CacheOfQwen3IsWhatVllmReports) {
  constexpr double kGibi = 1024.0 * 1024 * 1024;
  const auto cost =
      kv_cost({.architecture = "qwen3", .layers = 36, .kv_heads = 8, .key_dim = 128, .value_dim = 128});
  ASSERT_TRUE(cost);
  EXPECT_NEAR(83'488.0 * static_cast<double>(cost->per_token) / kGibi, 11.47, 0.01);
  const Load fp8{.context = 64, .sequences = 1, .kv_type = KvType::kFp8};
  const auto bytes = static_cast<double>(kv_bytes_per_sequence(*cost, fp8, {.scaleless = true}));
  EXPECT_NEAR(166'992 / 64.0 * bytes / kGibi, 11.47, 0.01);
}

TEST(MemoryModel, CacheTypesCostTheirElementsAndScales) {
  constexpr std::int64_t kElements = std::int64_t{64} * 2 * 32 * 8 * 128;
  const TypeCase cases[] = {
      {"fp16", KvType::kF16, {}, 2 * kElements},
      {"int8, a scale a head", KvType::kInt8, {}, kElements + kElements / 128 * 2},
      {"int4, a scale a head", KvType::kInt4, {}, kElements / 2 + kElements / 128 * 2},
      {"llama.cpp q8_0", KvType::kInt8, {.scale_block = 32}, kElements * 34 / 32},
      {"llama.cpp q4_0", KvType::kInt4, {.scale_block = 32}, kElements * 18 / 32},
      {"vLLM fp8", KvType::kFp8, {.scaleless = true}, kElements},
  };
  for (const TypeCase& test : cases) {
    EXPECT_EQ(kv_bytes_per_sequence(llama8b(0).kv, {64, 1, test.type}, test.engine), test.bytes) << test.name;
  }
}

TEST(MemoryModel, EstimateAddsWhatItNames) {
  const Estimate one = estimate(llama8b(16 * kGiB), {8192, 1, KvType::kF16}, {.overhead = 7});
  EXPECT_EQ(one.kv, kGiB);
  EXPECT_EQ(one.total(), 16 * kGiB + kGiB + activation_bytes(kLlama8B, 4) + 7);
  EXPECT_EQ(estimate(llama8b(0), {1, 3, KvType::kF16}).kv, 3 * kPageTokens * 128 * 1024) << "whole pages";
}

TEST(MemoryModel, TensorParallelRepeatsWhatItCannotSplit) {
  const Model model = llama8b(16 * kGiB);
  const auto kv = [&](std::int64_t accelerators) {
    return estimate(model, {8192, 1, KvType::kF16, accelerators}).kv;
  };
  EXPECT_EQ(kv(8), kv(1)) << "8 heads, one each";
  EXPECT_EQ(kv(16), 2 * kv(1)) << "half of the accelerators repeat a head";
  EXPECT_EQ(estimate(model, {8192, 1, KvType::kF16, 4}, {.overhead = 10}).overhead, 40);
  const Model latent{.weights = 0, .kv = {.per_token = 100, .heads = 1}};
  EXPECT_EQ(estimate(latent, {64, 1, KvType::kF16, 4}).kv, 4 * 6400) << "each needs the whole latent cache";
  EXPECT_EQ(estimate(model, {8192, 1, KvType::kF16, 16, 2}).kv, kv(1))
      << "two nodes of 8: a head each, half the layers";
  EXPECT_EQ(estimate(model, {8192, 1, KvType::kF16, 3}, {.splits_layers = true}).kv, kv(1)) << "whole layers";
}

TEST(MemoryModel, LargestSequencesIsTheLastThatFits) {
  const Model model = llama8b(5 * kGiB);
  for (const KvType type : {KvType::kF16, KvType::kInt8}) {
    const std::int64_t most = largest_sequences(model, {8192, 0, type}, {}, 24 * kGiB);
    EXPECT_LE(estimate(model, {8192, most, type}).total(), 24 * kGiB);
    EXPECT_GT(estimate(model, {8192, most + 1, type}).total(), 24 * kGiB);
  }
  EXPECT_EQ(largest_sequences(model, {8192, 0}, {}, 5 * kGiB), 0);
}

TEST(MemoryModel, LargestContextIsTheLastThatFits) {
  const Model model = llama8b(16 * kGiB);
  const std::int64_t most = largest_context(model, {131072, 2}, {}, 24 * kGiB);
  EXPECT_LE(estimate(model, {most, 2}).total(), 24 * kGiB);
  EXPECT_GT(estimate(model, {most + kPageTokens, 2}).total(), 24 * kGiB);
  EXPECT_EQ(largest_context(model, {4096, 2}, {}, 24 * kGiB), 4096) << "no more than asked";
  EXPECT_EQ(largest_context(model, {4096, 2}, {}, kGiB), 0);
}

struct ChangeCase {
  const char* name;
  Load load;
  std::int64_t budget;
  std::optional<KvType> cache;
  std::int64_t accelerators;
  std::optional<Change::Kind> kind;
  std::int64_t value;
};

TEST(MemoryModel, NamesTheCheapestChange) {
  const Model model = llama8b(16 * kGiB);
  const ChangeCase cases[] = {
      {"fits", {8192, 2}, 24 * kGiB, KvType::kInt8, 8, std::nullopt, 0},
      {"a smaller cache", {8192, 10}, 24 * kGiB, KvType::kInt8, 8, Change::Kind::kKvType, 0},
      {"fewer sequences", {8192, 10}, 24 * kGiB, std::nullopt, 8, Change::Kind::kConcurrency, 7},
      {"a shorter context", {81920, 1}, 24 * kGiB, std::nullopt, 8, Change::Kind::kContext, 65088},
      {"more accelerators", {8192, 1}, 10 * kGiB, KvType::kInt8, 8, Change::Kind::kAccelerators, 2},
      {"more memory", {8192, 1}, 10 * kGiB, KvType::kInt8, 1, Change::Kind::kMemory, 0},
  };
  for (const ChangeCase& test : cases) {
    const auto change = cheapest_change(model, test.load, {}, test.budget, test.cache, test.accelerators);
    ASSERT_EQ(change.has_value(), test.kind.has_value()) << test.name;
    if (!change) continue;
    EXPECT_EQ(change->kind, *test.kind) << test.name;
    if (test.value > 0) {
      EXPECT_EQ(change->value, test.value) << test.name;
    }
  }
}

TEST(MemoryModel, LyingHeadersAreTooMuchInsteadOfWrapping) {
  constexpr std::int64_t kLie = std::int64_t{1} << 30;
  const auto kv = kv_cost({.architecture = "llama", .layers = kLie, .kv_heads = kLie, .key_dim = kLie});
  ASSERT_TRUE(kv.has_value());
  const Model lie{kGiB, *kv, activation_bytes({kLie, kLie, kLie, kLie, kLie, kLie, kLie}, 4)};
  EXPECT_EQ(estimate(lie, {kLie, kLie}).total(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(estimate(lie, {kLie, kLie, KvType::kInt8, 3}).total(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(largest_sequences(lie, {8192, 0, KvType::kInt8}, {}, 1000 * kGiB), 0);
}

}  // namespace
}  // namespace stepdown::memory
