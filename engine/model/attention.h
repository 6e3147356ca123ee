#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/model/kv_cache.h"

namespace stepdown::model {

/// Consecutive tokens of one sequence that a step runs: a prompt's chunk, or the one token just sampled.
struct SequenceSlice {
  std::span<const std::int32_t> tokens;
  std::int64_t position = 0;            ///< of the first of them
  std::span<const std::int32_t> pages;  ///< the sequence's pages, in order, up to its last token
  std::int64_t silent = 0;              ///< first tokens of which nothing but keys and values is wanted
};

/// What one layer's attention does with its scores.
struct AttentionRule {
  float scale = 1.0f;       ///< of q·k
  float softcap = 0.0f;     ///< scores become cap·tanh(score/cap); 0: they stay
  std::int64_t window = 0;  ///< tokens that a token sees, itself among them; 0: all before it
};

/// One layer's attention in one step: its inputs, and what came of them. Rows follow the slices' tokens.
struct AttentionStep {
  std::int64_t layer;
  const AttentionRule& rule;
  std::span<const SequenceSlice> slices;
  std::int64_t rows;
  const float* queries;  ///< [rows][heads · head_dim], rotated
  const float* keys;     ///< [rows][kv_heads · head_dim]
  const float* values;
  const float* out;  ///< [rows][heads · head_dim]
};

/// Looks on while a decoder works.
class AttentionProbe {
 public:
  virtual ~AttentionProbe() = default;
  virtual void attended(kernels::ThreadPool& pool, const kernels::Operations& operations,
                        const AttentionStep& step) = 0;
};

/// Causal grouped-query attention over a paged cache: softmax(scale·q·k)·v, in float.
/// The paper's name for the layout is PagedAttention (Kwon et al. 2023).
class Attention {
 public:
  Attention(const KvCache& cache, std::int64_t heads, std::int64_t context, int threads);

  /// One layer: queries and out are [row][out_stride or query_stride]; rows follow the slices' tokens.
  void run(kernels::ThreadPool& pool, const kernels::Operations& operations, std::int64_t layer,
           const AttentionRule& rule, std::span<const SequenceSlice> slices, const float* queries,
           std::int64_t query_stride, float* out, std::int64_t out_stride);

 private:
  // A block of consecutive query tokens of one slice for one key-value head.
  struct Item {
    const SequenceSlice* slice;
    std::int64_t row;    ///< of the first token in queries and out
    std::int64_t token;  ///< within the slice
    std::int64_t count;  ///< tokens
    std::int64_t head;
  };
  struct Scratch {
    std::vector<float> queries;
    std::vector<float> scores;
    std::vector<float> out;
    std::vector<float> scales;
  };
  struct Call;
  void plan(std::span<const SequenceSlice> slices);
  void attend(const Call& call, const Item& item, Scratch& scratch) const;
  /// The tokens whose keys an item needs: from a page's first to its last token's own.
  struct Visible {
    std::int64_t begin;
    std::int64_t end;
  };
  Visible score(const Call& call, const Item& item, Scratch& scratch) const;
  void weigh(const Call& call, const Item& item, Visible visible, Scratch& scratch) const;

  const KvCache& cache_;
  std::int64_t group_;         ///< query heads per key-value head
  std::int64_t block_tokens_;  ///< query tokens an item takes together
  std::int64_t padded_dim_;
  std::int64_t score_stride_;
  std::vector<Item> items_;
  std::vector<Scratch> scratch_;
};

}  // namespace stepdown::model
