#include "engine/model/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/half.h"
#include "engine/model/rotation.h"

namespace stepdown::model {
namespace {

using kernels::kTileRows;
constexpr std::int64_t kPage = KvCache::kPageTokens;
constexpr std::int64_t kQueryRows = 16;  // rows of a tile product that keep its accumulators in registers

}  // namespace

struct Attention::Call {
  const kernels::Operations& operations;
  kernels::PlainTile product;
  std::int64_t layer;
  const AttentionRule& rule;
  const float* queries;
  std::int64_t query_stride;
  float* out;
  std::int64_t out_stride;
};

Attention::Attention(const KvCache& cache, std::int64_t heads, std::int64_t context, int threads)
    : cache_(cache),
      group_(heads / cache.shape().kv_heads),
      block_tokens_(std::max<std::int64_t>(1, kQueryRows / group_)),
      padded_dim_((cache.shape().head_dim + kTileRows - 1) / kTileRows * kTileRows),
      score_stride_((context + kPage - 1) / kPage * kPage + kTileRows),
      scratch_(static_cast<std::size_t>(threads)) {
  const auto rows = static_cast<std::size_t>(block_tokens_ * group_);
  for (Scratch& scratch : scratch_) {
    scratch.queries.resize(rows * static_cast<std::size_t>(cache.shape().head_dim));
    scratch.scores.resize(rows * static_cast<std::size_t>(score_stride_));
    scratch.out.resize(rows * static_cast<std::size_t>(padded_dim_));
    scratch.scales.resize(static_cast<std::size_t>(score_stride_));
  }
}

void Attention::run(kernels::ThreadPool& pool, const kernels::Operations& operations, std::int64_t layer,
                    const AttentionRule& rule, std::span<const SequenceSlice> slices, const float* queries,
                    std::int64_t query_stride, float* out, std::int64_t out_stride) {
  plan(slices);
  const Call call{operations, cache_.tile_product(operations, layer), layer, rule, queries, query_stride, out,
                  out_stride};
  pool.each(static_cast<std::int64_t>(items_.size()), [&](std::int64_t index, int worker) {
    attend(call, items_[static_cast<std::size_t>(index)], scratch_[static_cast<std::size_t>(worker)]);
  });
}

void Attention::plan(std::span<const SequenceSlice> slices) {
  items_.clear();
  std::int64_t row = 0;
  for (const SequenceSlice& slice : slices) {
    const auto tokens = static_cast<std::int64_t>(slice.tokens.size());
    for (std::int64_t token = 0; token < tokens; token += block_tokens_) {
      const std::int64_t count = std::min(block_tokens_, tokens - token);
      for (std::int64_t head = 0; head < cache_.shape().kv_heads; ++head) {
        items_.push_back({&slice, row + token, token, count, head});
      }
    }
    row += tokens;
  }
}

void Attention::attend(const Call& call, const Item& item, Scratch& scratch) const {
  const std::int64_t dimensions = cache_.shape().head_dim;
  const std::int64_t width = group_ * dimensions;  // a group's heads lie side by side
  const bool rotated = holds_rotated(cache_.type(call.layer));
  for (std::int64_t token = 0; token < item.count; ++token) {
    const float* from = call.queries + (item.row + token) * call.query_stride + item.head * width;
    float* to = scratch.queries.data() + token * width;
    for (std::int64_t i = 0; i < width; ++i) to[i] = from[i] * call.rule.scale;
    for (std::int64_t head = 0; rotated && head < group_; ++head)
      rotate_head(to + head * dimensions, dimensions);
  }
  const Visible visible = score(call, item, scratch);
  weigh(call, item, visible, scratch);
  for (std::int64_t token = 0; token < item.count; ++token) {
    float* to = call.out + (item.row + token) * call.out_stride + item.head * width;
    for (std::int64_t head = 0; head < group_; ++head) {
      const float* from = scratch.out.data() + (token * group_ + head) * padded_dim_;
      std::copy_n(from, dimensions, to + head * dimensions);
      if (rotated) rotate_head(to + head * dimensions, dimensions);
    }
  }
}

// Probabilities of every visible token for each query row.
Attention::Visible Attention::score(const Call& call, const Item& item, Scratch& scratch) const {
  const std::int64_t rows = item.count * group_;
  const std::int64_t dimensions = cache_.shape().head_dim;
  const std::int64_t first = item.slice->position + item.token;
  const auto oldest = [&](std::int64_t position) {  // that a token at `position` sees
    return call.rule.window > 0 ? std::max<std::int64_t>(0, position + 1 - call.rule.window) : 0;
  };
  const Visible visible{oldest(first) / kPage * kPage, first + item.count};
  for (std::int64_t token = visible.begin; token < visible.end; token += kTileRows) {
    const std::int32_t page = item.slice->pages[static_cast<std::size_t>(token / kPage)];
    const std::byte* tile = cache_.key_tile(call.layer, page, item.head, token % kPage / kTileRows);
    float* out = scratch.scores.data() + token;
    call.product(tile, dimensions, scratch.queries.data(), dimensions, rows, out, score_stride_, false);
    if (cache_.type(call.layer) == KvType::kF16) continue;
    const std::uint16_t* scales = cache_.key_scales(call.layer, page, item.head) + token % kPage;
    std::array<float, kTileRows> factors;
    std::transform(scales, scales + kTileRows, factors.begin(), f16_to_f32);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t lane = 0; lane < kTileRows; ++lane)
        out[row * score_stride_ + lane] *= factors[static_cast<std::size_t>(lane)];
    }
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    float* scores = scratch.scores.data() + row * score_stride_;
    const std::int64_t position = first + row / group_;
    const std::int64_t begin = oldest(position);
    const std::int64_t end = position + 1;
    if (call.rule.softcap > 0.0f) {
      for (std::int64_t i = begin; i < end; ++i)
        scores[i] = call.rule.softcap * std::tanh(scores[i] / call.rule.softcap);
    }
    call.operations.softmax(scores + begin, end - begin);
    std::fill(scores + visible.begin, scores + begin, 0.0f);
    std::fill(scores + end, scores + visible.end, 0.0f);
  }
  return visible;
}

void Attention::weigh(const Call& call, const Item& item, Visible visible, Scratch& scratch) const {
  const std::int64_t rows = item.count * group_;
  for (std::int64_t token = visible.begin; token < visible.end; token += kPage) {
    const std::int32_t page = item.slice->pages[static_cast<std::size_t>(token / kPage)];
    const std::int64_t count = std::min(kPage, visible.end - token);
    float* weights = scratch.scores.data() + token;
    if (cache_.type(call.layer) != KvType::kF16) {
      const std::uint16_t* scales = cache_.value_scales(call.layer, page, item.head);
      for (std::int64_t i = 0; i < count; ++i)
        scratch.scales[static_cast<std::size_t>(i)] = f16_to_f32(scales[i]);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t i = 0; i < count; ++i) {
          weights[row * score_stride_ + i] *= scratch.scales[static_cast<std::size_t>(i)];
        }
      }
    }
    for (std::int64_t tile = 0; tile < padded_dim_ / kTileRows; ++tile) {
      call.product(cache_.value_tile(call.layer, page, item.head, tile), count, weights, score_stride_, rows,
                   scratch.out.data() + tile * kTileRows, padded_dim_, token > visible.begin);
    }
  }
}

}  // namespace stepdown::model
