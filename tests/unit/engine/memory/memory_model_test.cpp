#include "engine/memory/memory_model.h"

#include <limits>

#include <gtest/gtest.h>

namespace stepdown::memory {
namespace {

// Llama 3.1 8B.
constexpr Shape kLlama8B = {32, 4096, 14336, 32, 8, 128, 128256};
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

TEST(MemoryModel, KvOfLlama8BIs128KiBAToken) {
  EXPECT_EQ(kv_bytes_per_token(kLlama8B, KvType::kF16), 128 * 1024);
  EXPECT_EQ(kv_bytes_per_token(kLlama8B, KvType::kInt8), 2 * 32 * 8 * (128 + 2));
}

TEST(MemoryModel, EstimateAddsWhatItNames) {
  const Estimate one = estimate(16 * kGiB, kLlama8B, {8192, 1, KvType::kF16});
  EXPECT_EQ(one.kv, kGiB);
  EXPECT_EQ(one.total(), 16 * kGiB + kGiB + activation_bytes(kLlama8B, 1));
  EXPECT_EQ(estimate(0, kLlama8B, {1, 3, KvType::kF16}).kv, 3 * kPageTokens * 128 * 1024) << "whole pages";
}

TEST(MemoryModel, LargestSequencesIsTheLastThatFits) {
  const std::int64_t weights = 5 * kGiB;
  for (const KvType type : {KvType::kF16, KvType::kInt8}) {
    const std::int64_t most = largest_sequences(weights, kLlama8B, 8192, type, 24 * kGiB);
    EXPECT_LE(estimate(weights, kLlama8B, {8192, most, type}).total(), 24 * kGiB);
    EXPECT_GT(estimate(weights, kLlama8B, {8192, most + 1, type}).total(), 24 * kGiB);
  }
  EXPECT_EQ(largest_sequences(weights, kLlama8B, 8192, KvType::kF16, weights), 0);
}

TEST(MemoryModel, LyingHeadersAreTooMuchInsteadOfWrapping) {
  constexpr std::int64_t kLie = 1 << 30;
  const Shape lie = {kLie, kLie, kLie, kLie, kLie, kLie, kLie};
  EXPECT_EQ(estimate(kGiB, lie, {kLie, kLie, KvType::kF16}).total(),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(largest_sequences(kGiB, lie, 8192, KvType::kInt8, 1000 * kGiB), 0);
}

}  // namespace
}  // namespace stepdown::memory
