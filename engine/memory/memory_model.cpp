#include "engine/memory/memory_model.h"

#include <initializer_list>
#include <limits>

namespace stepdown::memory {
namespace {

constexpr std::int64_t kTooMuch = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kF32 = 4;
constexpr std::int64_t kF16 = 2;

std::int64_t product(std::initializer_list<std::int64_t> factors) {
  std::int64_t result = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result)) return kTooMuch;
  }
  return result;
}

std::int64_t sum(std::initializer_list<std::int64_t> terms) {
  std::int64_t result = 0;
  for (const std::int64_t term : terms) {
    if (__builtin_add_overflow(result, term, &result)) return kTooMuch;
  }
  return result;
}

}  // namespace

std::int64_t Estimate::total() const {
  return sum({weights, kv, activations});
}

std::int64_t kv_bytes_per_token(const Shape& shape, KvType type) {
  const std::int64_t head =
      type == KvType::kF16 ? product({shape.head_dim, kF16}) : sum({shape.head_dim, kF16});
  return product({2, shape.layers, shape.kv_heads, head});
}

std::int64_t activation_bytes(const Shape& shape, std::int64_t sequences) {
  // Residual, normed input and output; queries with the attention's output, keys and values; gate and up.
  const std::int64_t row =
      sum({product({3, shape.hidden}), product({2, shape.heads, shape.head_dim}),
           product({2, shape.kv_heads, shape.head_dim}), product({2, shape.feed_forward})});
  return sum({product({kPrefillChunk, row, kF32}), product({sequences, shape.vocab, kF32})});
}

Estimate estimate(std::int64_t weights, const Shape& shape, const Load& load) {
  const std::int64_t pages = sum({load.context, kPageTokens - 1}) / kPageTokens;
  return {weights, product({load.sequences, pages, kPageTokens, kv_bytes_per_token(shape, load.kv_type)}),
          activation_bytes(shape, load.sequences)};
}

std::int64_t largest_sequences(std::int64_t weights, const Shape& shape, std::int64_t context, KvType type,
                               std::int64_t budget) {
  const Estimate one = estimate(weights, shape, {context, 1, type});
  const std::int64_t fixed = estimate(weights, shape, {context, 0, type}).total();
  if (one.total() > budget || one.total() == kTooMuch) return 0;
  const std::int64_t each = one.total() - fixed;
  return each == 0 ? kTooMuch : (budget - fixed) / each;
}

}  // namespace stepdown::memory
