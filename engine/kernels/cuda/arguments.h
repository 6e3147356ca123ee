#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/cuda/weight_format.h"

namespace stepdown::kernels::cuda {

// What each kernel is given, by value. Pointers are the device's. Halves are binary16 bits; rows of halves
// that feed a product are padded to whole units of 64 columns, and the padding is finite.

/// out = row / rms(row) · weight, rounded to binary16.
struct RmsNorm {
  const float* rows;    ///< [count][columns]
  const float* weight;  ///< null: rows are only rounded
  float epsilon;
  std::int32_t columns;
  std::int32_t count;
  const std::int32_t* gather = nullptr;  ///< which rows; null: the first `count`
  std::uint16_t* out;                    ///< [count][stride]
  std::int32_t stride;
};

/// out[token][row] (+)= input token · weight row.
struct MatrixProduct {
  DeviceMatrix weights;
  const std::uint16_t* input;  ///< [tokens][input_stride] halves
  std::int32_t input_stride;
  std::int32_t tokens;
  float* out;  ///< [tokens][out_stride]
  std::int32_t out_stride;
  bool accumulate = false;
  float* partials = nullptr;         ///< room for sums of parts of the columns; see partial_floats()
  std::size_t partial_capacity = 0;  ///< floats
};

/// Elements of the KV cache: binary16; int8, FP8 E4M3 or four bits with a binary16 scale a token and head.
enum class KvElement : std::int32_t { kHalf, kInt8, kFp8, kInt4 };
inline constexpr int kInt4Zero = 8;  ///< the code that stands for 0
constexpr int bits_of(KvElement element) {
  return element == KvElement::kHalf ? 16 : element == KvElement::kInt4 ? 4 : 8;
}

/// Whether they are of heads that a Hadamard matrix rotated: model::holds_rotated. Queries then are too.
constexpr bool holds_rotated(KvElement element) {
  return element != KvElement::kHalf;
}

/// One layer of a paged KV cache, of the meaning of model::KvCache: pages of 64 tokens. A page holds for each
/// head keys [64 tokens][dim], values [dim][64 tokens], and where there are scales those of the 64 keys and
/// of the 64 values: values are stored across so that both products of attention read their operands along a
/// thread's registers. Of four bits, a byte holds two dims of one token, so that tokens placed side by side
/// write no byte together: Int4Pair says which; values are then [dim / 2][64 tokens].
struct KvLayer {
  std::byte* pages;
  std::int64_t page_bytes;  ///< from page to page
  std::int32_t kv_heads;
  std::int32_t dim;  ///< of a head as stored: 64, 128 or 256; what a model lacks of that is zeros
  KvElement element;

  static constexpr int kPageTokens = 64;
  constexpr std::int64_t values_offset() const {
    return std::int64_t{kPageTokens} * dim * bits_of(element) / 8;
  }
  constexpr std::int64_t scales_offset() const { return 2 * values_offset(); }
  constexpr std::int64_t head_bytes() const {
    return scales_offset() + (element == KvElement::kHalf ? 0 : 2 * kPageTokens * 2);
  }
};

/// The dims whose codes are the low and the high nibble of byte `byte` of a token's head of four bits.
struct Int4Pair {
  std::int32_t low, high;

  /// Of each word's eight dims, 2p is nibble p and 2p + 1 nibble p + 4: a mask takes both out as they lie in
  /// a pair of halves.
  static constexpr Int4Pair of_key(std::int32_t byte) {
    const std::int32_t low = byte / 4 * 8 + byte % 2 * 4 + byte % 4 / 2;
    return {low, low + 2};
  }
  /// Dims 8 apart, which one lane multiplies.
  static constexpr Int4Pair of_value(std::int32_t byte) {
    const std::int32_t low = byte / 8 * 16 + byte % 8;
    return {low, low + 8};
  }
};

/// Where a token of the step belongs.
struct TokenPlace {
  std::int32_t position;
  std::int32_t page;
};

/// What is done to queries and keys before they meet: bias, norm of each head, rotary position; then keys and
/// values go to the cache and queries become halves, all by a Hadamard matrix where the cache holds such
/// heads.
struct Placement {
  const float* projected;  ///< [tokens][stride]: queries, keys and values side by side
  std::int32_t stride;
  std::int32_t tokens;
  std::int32_t heads, kv_heads, head_dim;
  const float* bias = nullptr;  ///< of all three, or null
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  float epsilon = 0.0f;
  const float* frequencies = nullptr;  ///< [pairs]; null: no positions
  std::int32_t pairs = 0;
  bool neighbours = false;  ///< pairs are (2i, 2i+1) instead of (i, i + pairs)
  float magnitude = 1.0f;
  const TokenPlace* places;  ///< [tokens]
  KvLayer cache;
  std::uint16_t* queries;  ///< [tokens][heads · head_dim]
};

/// Consecutive query tokens of one sequence that a block takes together.
struct AttentionItem {
  std::int32_t row;         ///< of the first in queries and out
  std::int32_t tokens;      ///< 0: nothing to do
  std::int32_t position;    ///< of the first in its sequence
  std::int32_t page_table;  ///< where in `tables` the sequence's pages are
};

/// softmax(scale · q·k) · v over the cache, causal. Each item's keys may be split among several blocks, whose
/// sums are merged afterwards (Flash-Decoding, Dao et al. 2023).
struct PagedAttention {
  KvLayer cache;
  const std::uint16_t* queries;  ///< [rows][heads · head_dim]
  std::int32_t heads, head_dim;
  float scale;
  float softcap;        ///< 0: none
  std::int32_t window;  ///< 0: none
  const AttentionItem* items;
  std::int32_t item_count;
  std::int32_t item_tokens;  ///< the most that an item has
  std::int32_t rows;
  const std::int32_t* tables;
  std::int32_t splits;
  float* partials;     ///< splits > 1: [split][row][head]{sum of dim, maximum, weight}
  std::uint16_t* out;  ///< [rows][stride]
  std::int32_t stride;

  constexpr std::size_t partial_floats() const {
    return splits > 1 ? static_cast<std::size_t>(splits) * static_cast<std::size_t>(rows) *
                            static_cast<std::size_t>(heads) * static_cast<std::size_t>(head_dim + 2)
                      : 0;
  }
};

enum class Gate : std::int32_t { kSilu, kGelu };

/// out = gate(x) · up, rounded to binary16; finite values beyond binary16's become its largest.
struct Gating {
  const float* gate;  ///< [tokens][stride]
  const float* up;
  std::int32_t stride;
  std::int32_t columns;
  std::int32_t tokens;
  Gate function;
  std::uint16_t* out;  ///< [tokens][out_stride]
  std::int32_t out_stride;
};

/// What a row of logits says, and the best token that its mask allows.
struct TokenSummary {
  float maximum;
  float log_sum;  ///< log Σ exp(logit)
  float entropy;  ///< nats
  std::int32_t finite;
  std::int32_t best;  ///< the lowest of equal ones; −1: the mask allows none
  float best_logit;
};

struct Summary {
  float* logits;  ///< [rows][columns]
  std::int32_t columns;
  std::int32_t rows;
  float scale = 1.0f;                    ///< logits are first taken times this…
  float softcap = 0.0f;                  ///< …and capped; both in place
  const std::uint32_t* masks = nullptr;  ///< [rows][words] a bit a token; null: all are allowed
  std::int32_t words = 0;
  TokenSummary* out;  ///< [rows]
};

/// The likeliest tokens of a row, best first, of equal ones the lower first.
struct LeadingRow {
  static constexpr std::int32_t kMost = 64;
  float mass;          ///< Σ exp((logit − maximum) / temperature) over all tokens; 0 at temperature 0
  std::int32_t count;  ///< all that there are, or kMost; 0: more than a block holds might be among them
  std::int32_t tokens[kMost];
  float logits[kMost];
};

struct LeadingRows {
  const float* logits;  ///< [rows][columns], as summarize() leaves them; finite
  std::int32_t columns;
  std::int32_t rows;
  const float* temperatures;  ///< [rows]
  LeadingRow* out;            ///< [rows]
};

}  // namespace stepdown::kernels::cuda
