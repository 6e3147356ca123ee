// Attention over a cache with a type of its own for each layer, against softmax(scale·q·k)·v in doubles over
// keys and values that were rounded by the definition of each type.
#include "engine/model/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "tests/unit/engine/kernels/hadamard.h"
#include <gtest/gtest.h>

#include "engine/base/half.h"
#include "engine/formats/quantized/float8.h"

namespace stepdown::model {
namespace {

constexpr std::int64_t kTokens = 150;  // three pages, the last of them partly filled

float stored(float scale) {
  return f16_to_f32(f32_to_f16(scale));
}

float rounded_code(KvType type, float x, float scale) {
  if (type == KvType::kFp8)
    return formats::e4m3_to_f32(formats::f32_to_e4m3(x / scale)) / 256 * stored(scale * 256);
  const bool four_bits = type == KvType::kInt4;
  return std::clamp(std::nearbyint(x / scale), four_bits ? -8.0f : -127.0f, four_bits ? 7.0f : 127.0f) *
         stored(scale);
}

/// Codes are of what the head becomes when it is rotated.
std::vector<float> rounded(KvType type, std::vector<float> head) {
  if (type == KvType::kF16) {
    std::ranges::transform(head, head.begin(), stored);
    return head;
  }
  std::vector<float> turned = kernels::rotated(head);
  const float extreme = *std::ranges::max_element(turned, {}, [](float x) { return std::abs(x); });
  float scale = extreme / -8;
  if (type == KvType::kInt8) scale = std::abs(extreme) / 127;
  if (type == KvType::kFp8) scale = std::abs(extreme) / formats::kLargestE4m3;
  for (float& x : turned) x = rounded_code(type, x, scale);
  return kernels::rotated(turned);
}

struct Heads {
  std::int64_t width;  ///< of one head
  std::vector<float> values;

  Heads(std::int64_t heads, std::int64_t head_dim, unsigned seed)
      : width(head_dim), values(static_cast<std::size_t>(kTokens * heads * head_dim)) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& x : values) x = normal(random);
  }
  std::vector<float> at(std::int64_t token, std::int64_t head, std::int64_t heads) const {
    const auto first = values.begin() + (token * heads + head) * width;
    return {first, first + width};
  }
};

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus(),
                            [](float x, float y) { return static_cast<double>(x) * y; });
}

/// What a token's query head should get.
std::vector<double> expected(KvType type, const AttentionRule& rule, const std::vector<float>& query,
                             const Heads& keys, const Heads& values, std::int64_t kv_heads, std::int64_t head,
                             std::int64_t token) {
  std::vector<double> scores;
  const std::int64_t oldest = rule.window > 0 ? std::max<std::int64_t>(0, token + 1 - rule.window) : 0;
  for (std::int64_t i = oldest; i <= token; ++i) {
    scores.push_back(rule.scale * dot(query, rounded(type, keys.at(i, head, kv_heads))));
  }
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  std::vector<double> out(query.size());
  for (std::int64_t i = oldest; i <= token; ++i) {
    const std::vector<float> value = rounded(type, values.at(i, head, kv_heads));
    for (std::size_t k = 0; k < out.size(); ++k)
      out[k] += scores[static_cast<std::size_t>(i - oldest)] / sum * value[k];
  }
  return out;
}

struct Shape {
  std::int64_t heads, kv_heads, head_dim, window;
};

TEST(Attention, MatchesTheScalarDefinitionOverEveryMixOfTypes) {
  const std::vector<KvType> types = {KvType::kFp8, KvType::kF16, KvType::kInt8, KvType::kInt4};
  std::vector<std::int32_t> pages = {2, 0, 1};  // in any order
  kernels::ThreadPool pool(2);
  for (const Shape& shape : {Shape{4, 2, 64, 0}, Shape{6, 2, 24, 0}, Shape{3, 3, 32, 40}}) {
    const auto layers = static_cast<std::int64_t>(types.size());
    KvCache cache({layers, shape.kv_heads, shape.head_dim}, types, 3);
    Attention attention(cache, shape.heads, kTokens, pool.threads());
    const Heads keys(shape.kv_heads, shape.head_dim, 1), values(shape.kv_heads, shape.head_dim, 2);
    const Heads queries(shape.heads, shape.head_dim, 3);
    const std::int64_t kv_width = shape.kv_heads * shape.head_dim;
    const std::int64_t width = shape.heads * shape.head_dim;
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      for (std::int64_t token = 0; token < kTokens; ++token) {
        cache.store(layer, pages[static_cast<std::size_t>(token / KvCache::kPageTokens)],
                    token % KvCache::kPageTokens, keys.values.data() + token * kv_width,
                    values.values.data() + token * kv_width);
      }
    }
    const AttentionRule rule{.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim)),
                             .window = shape.window};
    const std::vector<std::int32_t> tokens(kTokens);
    const SequenceSlice slice{tokens, 0, pages};
    for (const kernels::Operations* operations : kernels::all_operations()) {
      if (!operations->supported()) continue;
      for (std::int64_t layer = 0; layer < layers; ++layer) {
        std::vector<float> out(queries.values.size());
        attention.run(pool, *operations, layer, rule, {&slice, 1}, queries.values.data(), width, out.data(),
                      width);
        for (const std::int64_t token : {std::int64_t{0}, std::int64_t{63}, std::int64_t{64}, kTokens - 1}) {
          for (std::int64_t head = 0; head < shape.heads; ++head) {
            const auto wanted =
                expected(types[static_cast<std::size_t>(layer)], rule, queries.at(token, head, shape.heads),
                         keys, values, shape.kv_heads, head / (shape.heads / shape.kv_heads), token);
            for (std::size_t i = 0; i < wanted.size(); ++i) {
              EXPECT_NEAR(out[static_cast<std::size_t>(token * width + head * shape.head_dim) + i], wanted[i],
                          2e-5)
                  << operations->name << ", layer " << layer << ", token " << token << ", head " << head;
            }
          }
        }
      }
    }
  }
}

TEST(KvCache, QuantizedLayersTakeHalfOrAQuarterOfThePage) {
  const KvShape shape{4, 2, 64};
  const auto bytes = [&](KvType type, std::vector<std::int64_t> f16_layers) {
    return KvCache::page_bytes(shape, kv_types(type, shape.layers, f16_layers));
  };
  const std::size_t f16 = bytes(KvType::kF16, {});
  const std::size_t scales = 4 * 2 * 2 * KvCache::kPageTokens * 2;
  EXPECT_EQ(bytes(KvType::kInt8, {}), f16 / 2 + scales);
  EXPECT_EQ(bytes(KvType::kFp8, {}), f16 / 2 + scales);
  EXPECT_EQ(bytes(KvType::kInt4, {}), f16 / 4 + scales);
  EXPECT_EQ(bytes(KvType::kFp8, {1}), bytes(KvType::kFp8, {}) + (f16 - bytes(KvType::kFp8, {})) / 4);
}

TEST(KvCache, ValuesThatAreNotFiniteShowInAttention) {
  for (const KvType type : {KvType::kInt8, KvType::kFp8, KvType::kInt4}) {
    KvCache cache({1, 1, 16}, kv_types(type, 1, {}), 1);
    std::vector<float> keys(16, 1.0f);
    std::vector<float> values(16, 1.0f);
    values[3] = std::numeric_limits<float>::infinity();
    cache.store(0, 0, 0, keys.data(), values.data());
    kernels::ThreadPool pool(1);
    Attention attention(cache, 1, 1, 1);
    const std::vector<std::int32_t> token(1), page(1);
    const SequenceSlice slice{token, 0, page};
    std::vector<float> out(16);
    attention.run(pool, kernels::operations(), 0, {}, {&slice, 1}, keys.data(), 16, out.data(), 16);
    EXPECT_TRUE(std::isnan(out[3])) << kv_type_name(type);
  }
}

// Heads at the ends of what a scale of binary16 spans. What rotation makes one entry is kept whatever its
// sign; what it spreads evenly ends one code earlier on the side that has not the first.
TEST(KvCache, FourBitsKeepTheExtremesOfAHead) {
  constexpr std::int64_t kWidth = 32;
  constexpr float kLargest = 60000.0f;
  std::vector<float> zeros(kWidth), flat(kWidth, kLargest), sunk(kWidth, -kLargest), one(kWidth);
  one[5] = kLargest;
  const std::vector<std::pair<std::vector<float>, float>> cases = {
      {zeros, 0.0f}, {flat, 1e-3f}, {sunk, 1e-3f}, {one, 1.001f / 16}};
  kernels::ThreadPool pool(1);
  for (const auto& [value, most_off] : cases) {
    KvCache cache({1, 1, kWidth}, kv_types(KvType::kInt4, 1, {}), 1);
    cache.store(0, 0, 0, value.data(), value.data());
    for (const kernels::Operations* operations : kernels::all_operations()) {
      if (!operations->supported()) continue;
      Attention attention(cache, 1, 1, 1);
      const std::vector<std::int32_t> token(1), page(1);
      const SequenceSlice slice{token, 0, page};
      std::vector<float> out(kWidth);
      attention.run(pool, *operations, 0, {}, {&slice, 1}, zeros.data(), kWidth, out.data(), kWidth);
      for (std::size_t i = 0; i < value.size(); ++i)
        EXPECT_NEAR(out[i], value[i], most_off * kLargest) << operations->name << " " << i;
    }
  }
}

// Neighbours share a byte: neither's codes may change the other's, in whatever order they come.
TEST(KvCache, FourBitNeighboursKeepTheirOwnCodes) {
  const std::vector<float> first(16, 1.0f), second(16, -3.0f);
  for (const bool backwards : {false, true}) {
    KvCache cache({1, 1, 16}, kv_types(KvType::kInt4, 1, {}), 1);
    cache.store(0, 0, 1, first.data(), first.data());  // what was in the page before
    cache.store(0, 0, backwards ? 1 : 0, backwards ? second.data() : first.data(), first.data());
    cache.store(0, 0, backwards ? 0 : 1, backwards ? first.data() : second.data(), first.data());
    std::array<float, kernels::kTileRows> scores;
    std::vector<float> query(16, 0.0f);
    query[0] = 1.0f;  // of a rotated constant, only the first is not zero
    kernels::operations().i4_tile(cache.key_tile(0, 0, 0, 0), 16, query.data(), 16, 1, scores.data(),
                                  kernels::kTileRows, false);
    EXPECT_FLOAT_EQ(scores[0] * f16_to_f32(cache.key_scales(0, 0, 0)[0]), 4.0f);
    EXPECT_FLOAT_EQ(scores[1] * f16_to_f32(cache.key_scales(0, 0, 0)[1]), -12.0f);
  }
}

TEST(Int4Tile, ReadsEveryCode) {
  for (const kernels::Operations* operations : kernels::all_operations()) {
    if (!operations->supported()) continue;
    for (unsigned first = 0; first < 256; first += kernels::kTileRows / 2) {
      std::array<std::byte, kernels::kTileRows / 2> tile;
      for (unsigned i = 0; i < tile.size(); ++i) tile[i] = static_cast<std::byte>(first + i);
      std::array<float, kernels::kTileRows> out;
      const float one = 1.0f;
      operations->i4_tile(tile.data(), 1, &one, 1, 1, out.data(), kernels::kTileRows, false);
      for (unsigned i = 0; i < tile.size(); ++i) {
        EXPECT_EQ(out[2 * i], static_cast<float>((first + i) % 16) - 8.0f) << operations->name;
        EXPECT_EQ(out[2 * i + 1], static_cast<float>((first + i) / 16) - 8.0f) << operations->name;
      }
    }
  }
}

// Every code of E4M3 that stands for a number.
TEST(Fp8Tile, ReadsEveryCode) {
  for (const kernels::Operations* operations : kernels::all_operations()) {
    if (!operations->supported()) continue;
    for (unsigned first = 0; first < 256; first += kernels::kTileRows) {
      std::array<std::byte, kernels::kTileRows> tile;
      for (unsigned i = 0; i < tile.size(); ++i) tile[i] = static_cast<std::byte>(first + i);
      std::array<float, kernels::kTileRows> out;
      const float one = 1.0f;
      operations->f8_tile(tile.data(), 1, &one, 1, 1, out.data(), kernels::kTileRows, false);
      for (unsigned i = 0; i < tile.size(); ++i) {
        if (((first + i) & 0x7f) == 0x7f) continue;  // NaN, which no cache stores
        EXPECT_EQ(out[i], formats::e4m3_to_f32(static_cast<std::uint8_t>(first + i)) * kernels::kFp8Unit)
            << operations->name << " " << first + i;
      }
    }
  }
}

}  // namespace
}  // namespace stepdown::model
