#include "engine/model/transformer.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/kernels/dequantize.h"
#include "engine/kernels/matmul.h"
#include "engine/model/feed_forward.h"
#include "engine/model/layer_rule.h"
#include "engine/model/rope.h"
#include "engine/model/scale_and_cap.h"
#include "engine/model/weights.h"

namespace stepdown::model {
namespace {

using kernels::Activations;
using kernels::PackedMatrix;
using kernels::Product;

constexpr std::int64_t kLogitRows = 16;  // rows the output matrix is multiplied with at once
constexpr std::int64_t kSerialRows = 4;  // fewer rows are not worth waking threads for

/// Vectors are empty and matrices have no rows where an architecture has none.
struct Layer {
  std::vector<float> attention_norm, after_attention_norm;
  std::vector<float> feed_forward_norm, after_feed_forward_norm;
  std::vector<float> query_norm, key_norm;
  std::vector<float> query_bias, key_bias, value_bias;
  PackedMatrix query, key, value, output;
  PackedMatrix joined;  ///< query, key and value in one
  FeedForwardWeights feed_forward;
  AttentionRule rule;
  const Rope* rope = nullptr;  ///< null: no positions
};

void add(float* values, const std::vector<float>& bias) {
  for (std::size_t i = 0; i < bias.size(); ++i) values[i] += bias[i];
}

class Transformer final : public Decoder {
 public:
  Transformer(const Architecture& architecture, const formats::ModelFile& file, const DecoderOptions& options,
              kernels::ThreadPool& pool)
      : architecture_(architecture),
        config_(file.config()),
        pool_(pool),
        loader_(file),
        embeddings_(loader_.tensor("token_embd.weight", config_.vocab, config_.hidden)),
        rope_(
            rope_frequencies(config_.rope_dim, config_.rope_theta,
                             loader_.optional_vector(rope_factors_name(config_.rope_scaling, options.context),
                                                     config_.rope_dim / 2),
                             config_.rope_scaling),
            architecture.rope, options.max_rows),
        sliding_rope_(rope_frequencies(config_.rope_dim, config_.rope_theta_sliding, {}, {}),
                      architecture.rope, config_.rope_theta_sliding > 0.0f ? options.max_rows : 0),
        cache_({config_.layers, config_.kv_heads, config_.head_dim},
               kv_types(options.kv_type, config_.layers, options.f16_kv_layers), options.kv_pages),
        probe_(options.probe),
        attention_(cache_, config_.heads, options.context, pool.threads()),
        query_width_(config_.heads * config_.head_dim),
        kv_width_(config_.kv_heads * config_.head_dim),
        feed_forward_(config_, architecture.activation, options.max_rows),
        places_(static_cast<std::size_t>(options.max_rows)),
        stream_(static_cast<std::size_t>(options.max_rows * config_.hidden)),
        queries_(static_cast<std::size_t>(options.max_rows * query_width_)),
        keys_(static_cast<std::size_t>(options.max_rows * kv_width_)),
        values_(keys_.size()),
        normed_(options.max_rows, config_.hidden),
        attended_(options.max_rows, query_width_),
        final_(kLogitRows, config_.hidden) {
    load(options.last_use_of_file);
    if (architecture_.norm_after || config_.residual_scale != 1.0f) block_out_.resize(stream_.size());
    if (layers_.front().joined.rows() > 0)
      joined_.resize(static_cast<std::size_t>(options.max_rows * (query_width_ + 2 * kv_width_)));
    kernels::dequantize_row(embeddings_.type, embedding(0),
                            {stream(0), static_cast<std::size_t>(config_.hidden)});
  }

  void forward(std::span<const SequenceSlice> slices) override {
    embed(slices);
    for (std::int64_t i = 0; i < config_.layers; ++i) {
      const Layer& layer = layers_[static_cast<std::size_t>(i)];
      take_in(i, layer, slices);
      if (i + 1 == config_.layers) slices = keep_wanted(slices);
      if (rows_ == 0) return;
      attention_block(i, layer, slices);
      feed_forward_block(layer);
    }
  }

  void logits(std::span<const std::int64_t> rows, float* out) override {
    for (std::size_t done = 0; done < rows.size(); done += kLogitRows) {
      const std::size_t count = std::min<std::size_t>(kLogitRows, rows.size() - done);
      for (std::size_t i = 0; i < count; ++i)
        norm_row(place_of(rows[done + i]), output_norm_, final_, static_cast<std::int64_t>(i));
      float* to = out + done * static_cast<std::size_t>(config_.vocab);
      const Product product{&output_, to, config_.vocab};
      kernels::multiply(pool_, operations_, final_, 0, static_cast<std::int64_t>(count), {&product, 1});
      scale_and_cap({to, count * static_cast<std::size_t>(config_.vocab)}, config_.logit_scale,
                    config_.logit_softcap);
    }
  }

  void hidden(std::int64_t row, float* out) override {
    operations_.rms_norm(stream(place_of(row)), output_norm_.data(), config_.rms_eps, config_.hidden, out);
  }

  std::size_t weight_bytes() const override { return weights_.size(); }

 private:
  void load(bool last_use_of_file) {
    layers_.resize(static_cast<std::size_t>(config_.layers));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::string prefix = "blk." + std::to_string(i) + ".";
      load_norms(prefix, layers_[i]);
      load_attention(prefix, layers_[i]);
      set_rule(static_cast<std::int64_t>(i), layers_[i]);
      feed_forward_.load(loader_, prefix, layers_[i].feed_forward);
    }
    output_norm_ = loader_.vector("output_norm.weight", config_.hidden);
    const std::string head = loader_.has("output.weight") ? "output.weight" : "token_embd.weight";
    loader_.matrix(head, config_.vocab, config_.hidden, output_);
    weights_ = loader_.pack(pool_, last_use_of_file);
  }

  void load_norms(const std::string& prefix, Layer& layer) {
    if (architecture_.norm_before) {
      layer.attention_norm = loader_.vector(prefix + "attn_norm.weight", config_.hidden);
      layer.feed_forward_norm = loader_.vector(prefix + "ffn_norm.weight", config_.hidden);
    }
    if (architecture_.norm_after) {
      layer.after_attention_norm = loader_.vector(prefix + "post_attention_norm.weight", config_.hidden);
      layer.after_feed_forward_norm = loader_.vector(prefix + "post_ffw_norm.weight", config_.hidden);
    }
    if (architecture_.query_key_norm != QueryKeyNorm::kNone) {
      const bool all = architecture_.query_key_norm == QueryKeyNorm::kAll;
      layer.query_norm = loader_.vector(prefix + "attn_q_norm.weight", all ? query_width_ : config_.head_dim);
      layer.key_norm = loader_.vector(prefix + "attn_k_norm.weight", all ? kv_width_ : config_.head_dim);
    }
  }

  void load_attention(const std::string& prefix, Layer& layer) {
    if (loader_.has(prefix + "attn_qkv.weight")) {
      loader_.matrix(prefix + "attn_qkv.weight", query_width_ + 2 * kv_width_, config_.hidden, layer.joined);
    } else {
      loader_.matrix(prefix + "attn_q.weight", query_width_, config_.hidden, layer.query);
      loader_.matrix(prefix + "attn_k.weight", kv_width_, config_.hidden, layer.key);
      loader_.matrix(prefix + "attn_v.weight", kv_width_, config_.hidden, layer.value);
    }
    layer.query_bias = loader_.optional_vector(prefix + "attn_q.bias", query_width_);
    layer.key_bias = loader_.optional_vector(prefix + "attn_k.bias", kv_width_);
    layer.value_bias = loader_.optional_vector(prefix + "attn_v.bias", kv_width_);
    loader_.matrix(prefix + "attn_output.weight", config_.hidden, query_width_, layer.output);
  }

  void set_rule(std::int64_t index, Layer& layer) const {
    const LayerRule rule = layer_rule(architecture_, config_, index);
    layer.rule = rule.attention;
    if (rule.rotates) layer.rope = rule.sliding_rope ? &sliding_rope_ : &rope_;
  }

  // Calls body(row) for every row of the step, on the pool when there are enough of them.
  template <class Body>
  void each_row(const Body& body) {
    if (rows_ < kSerialRows) {
      for (std::int64_t row = 0; row < rows_; ++row) body(row);
    } else {
      pool_.each(rows_, [&](std::int64_t row, int /*worker*/) { body(row); });
    }
  }

  float* stream(std::int64_t row) { return stream_.data() + row * config_.hidden; }

  void norm_row(std::int64_t row, const std::vector<float>& weight, Activations& into, std::int64_t at) {
    if (weight.empty()) {
      std::copy_n(stream(row), config_.hidden, into.row(at));
    } else {
      operations_.rms_norm(stream(row), weight.data(), config_.rms_eps, config_.hidden, into.row(at));
    }
    into.encode(operations_, at);
  }

  // Where a block writes, and whether it adds there: straight to the residual stream unless its output is
  // changed first.
  float* block_out() { return block_out_.empty() ? stream_.data() : block_out_.data(); }
  bool adds_directly() const { return block_out_.empty(); }
  void join_block(const std::vector<float>& norm) {
    if (adds_directly()) return;
    each_row([&](std::int64_t row) {
      float* block = block_out_.data() + row * config_.hidden;
      if (!norm.empty()) operations_.rms_norm(block, norm.data(), config_.rms_eps, config_.hidden, block);
      float* to = stream(row);
      for (std::int64_t i = 0; i < config_.hidden; ++i) to[i] += config_.residual_scale * block[i];
    });
  }

  std::span<const std::byte> embedding(std::int32_t token) const {
    const std::size_t bytes = embeddings_.data.size() / static_cast<std::size_t>(config_.vocab);
    return embeddings_.data.subspan(static_cast<std::size_t>(token) * bytes, bytes);
  }

  void embed(std::span<const SequenceSlice> slices) {
    const auto hidden = static_cast<std::size_t>(config_.hidden);
    rows_ = 0;
    for (const SequenceSlice& slice : slices) {
      for (std::size_t i = 0; i < slice.tokens.size(); ++i, ++rows_) {
        kernels::dequantize_row(embeddings_.type, embedding(slice.tokens[i]), {stream(rows_), hidden});
        scale_and_cap({stream(rows_), hidden}, config_.embedding_scale, 0.0f);
        places_[static_cast<std::size_t>(rows_)] = rows_;
        rope_.set(rows_, slice.position + static_cast<std::int64_t>(i));
        if (config_.rope_theta_sliding > 0.0f)
          sliding_rope_.set(rows_, slice.position + static_cast<std::int64_t>(i));
      }
    }
  }

  // Queries, and keys and values in the cache.
  void take_in(std::int64_t index, const Layer& layer, std::span<const SequenceSlice> slices) {
    each_row([&](std::int64_t row) { norm_row(row, layer.attention_norm, normed_, row); });
    project(layer);
    place(index, layer, slices);
  }

  // What a prompt is for lies in the cache by now: rows that nobody asks for leave the step, the others move
  // together. Answers what is left of the slices.
  std::span<const SequenceSlice> keep_wanted(std::span<const SequenceSlice> slices) {
    const auto silent = [](const SequenceSlice& slice) { return slice.silent > 0; };
    if (probe_ != nullptr || std::ranges::none_of(slices, silent)) return slices;
    wanted_.clear();
    std::int64_t row = 0;
    rows_ = 0;
    for (const SequenceSlice& slice : slices) {
      const auto count = static_cast<std::int64_t>(slice.tokens.size());
      for (std::int64_t i = slice.silent; i < count; ++i) move_row(row + i, rows_++);
      row += count;
      if (slice.silent >= count) continue;
      wanted_.push_back({slice.tokens.subspan(static_cast<std::size_t>(slice.silent)),
                         slice.position + slice.silent, slice.pages});
    }
    return wanted_;
  }
  void move_row(std::int64_t from, std::int64_t to) {
    places_[static_cast<std::size_t>(from)] = to;
    if (from == to) return;
    std::copy_n(stream(from), config_.hidden, stream(to));
    std::copy_n(queries_.data() + from * query_width_, query_width_, queries_.data() + to * query_width_);
  }
  std::int64_t place_of(std::int64_t row) const { return places_[static_cast<std::size_t>(row)]; }

  void attention_block(std::int64_t index, const Layer& layer, std::span<const SequenceSlice> slices) {
    attention_.run(pool_, operations_, index, layer.rule, slices, queries_.data(), query_width_,
                   attended_.row(0), query_width_);
    if (probe_ != nullptr) {
      probe_->attended(pool_, operations_,
                       {index, layer.rule, slices, rows_, queries_.data(), keys_.data(), values_.data(),
                        attended_.row(0)});
    }
    each_row([&](std::int64_t row) { attended_.encode(operations_, row); });
    const Product product{&layer.output, block_out(), config_.hidden, adds_directly()};
    kernels::multiply(pool_, operations_, attended_, 0, rows_, {&product, 1});
    join_block(layer.after_attention_norm);
  }

  void project(const Layer& layer) {
    if (layer.joined.rows() == 0) {
      const std::array products = {Product{&layer.query, queries_.data(), query_width_},
                                   Product{&layer.key, keys_.data(), kv_width_},
                                   Product{&layer.value, values_.data(), kv_width_}};
      return kernels::multiply(pool_, operations_, normed_, 0, rows_, products);
    }
    const std::int64_t width = layer.joined.rows();
    const Product product{&layer.joined, joined_.data(), width};
    kernels::multiply(pool_, operations_, normed_, 0, rows_, {&product, 1});
    each_row([&](std::int64_t row) {
      const float* from = joined_.data() + row * width;
      std::copy_n(from, query_width_, queries_.data() + row * query_width_);
      std::copy_n(from + query_width_, kv_width_, keys_.data() + row * kv_width_);
      std::copy_n(from + query_width_ + kv_width_, kv_width_, values_.data() + row * kv_width_);
    });
  }

  // What is done to a row's queries and keys before they meet.
  void finish_row(const Layer& layer, std::int64_t row) {
    float* queries = queries_.data() + row * query_width_;
    float* keys = keys_.data() + row * kv_width_;
    add(queries, layer.query_bias);
    add(keys, layer.key_bias);
    add(values_.data() + row * kv_width_, layer.value_bias);
    const auto norm = [this](float* values, const std::vector<float>& weight, std::int64_t width) {
      const auto count = static_cast<std::int64_t>(weight.size());
      for (std::int64_t at = 0; count > 0 && at < width; at += count)
        operations_.rms_norm(values + at, weight.data(), config_.rms_eps, count, values + at);
    };
    norm(queries, layer.query_norm, query_width_);
    norm(keys, layer.key_norm, kv_width_);
    if (layer.rope == nullptr) return;
    layer.rope->apply(row, queries, config_.heads, config_.head_dim);
    layer.rope->apply(row, keys, config_.kv_heads, config_.head_dim);
  }

  // Finishes queries and keys, and writes keys and values to the cache.
  void place(std::int64_t index, const Layer& layer, std::span<const SequenceSlice> slices) {
    std::int64_t first = 0;
    for (const SequenceSlice& slice : slices) {
      const auto count = static_cast<std::int64_t>(slice.tokens.size());
      const auto one = [&](std::int64_t i) {
        const std::int64_t row = first + i;
        const std::int64_t position = slice.position + i;
        finish_row(layer, row);
        const std::int32_t page = slice.pages[static_cast<std::size_t>(position / KvCache::kPageTokens)];
        cache_.store(index, page, position % KvCache::kPageTokens, keys_.data() + row * kv_width_,
                     values_.data() + row * kv_width_);
      };
      if (count < kSerialRows) {
        for (std::int64_t i = 0; i < count; ++i) one(i);
      } else {
        constexpr std::int64_t kTogether = KvCache::kSlotsTogether;
        const std::int64_t before = slice.position % kTogether;
        pool_.each((before + count + kTogether - 1) / kTogether, [&](std::int64_t group, int /*worker*/) {
          const std::int64_t begin = group * kTogether - before;
          for (std::int64_t i = std::max<std::int64_t>(0, begin); i < std::min(count, begin + kTogether); ++i)
            one(i);
        });
      }
      first += count;
    }
  }

  void feed_forward_block(const Layer& layer) {
    each_row([&](std::int64_t row) { norm_row(row, layer.feed_forward_norm, normed_, row); });
    feed_forward_.run(pool_, operations_, layer.feed_forward, normed_, rows_, block_out(), adds_directly());
    join_block(layer.after_feed_forward_norm);
  }

  Architecture architecture_;
  formats::ModelConfig config_;
  kernels::ThreadPool& pool_;
  const kernels::Operations& operations_ = kernels::operations();
  WeightLoader loader_;
  const TensorView& embeddings_;  ///< read from the file row by row
  Rope rope_;
  Rope sliding_rope_;  ///< of layers with a window, where they have one of their own
  KvCache cache_;
  AttentionProbe* probe_;
  Attention attention_;
  std::int64_t query_width_;
  std::int64_t kv_width_;
  kernels::PageBuffer weights_;
  std::vector<Layer> layers_;
  std::vector<float> output_norm_;
  PackedMatrix output_;
  FeedForward feed_forward_;

  std::int64_t rows_ = 0;              ///< tokens of the current step
  std::vector<std::int64_t> places_;   ///< of each of the step's tokens: its row now
  std::vector<SequenceSlice> wanted_;  ///< what the last layer's attention gets
  std::vector<float> stream_;          ///< the residual stream, [row][hidden]
  std::vector<float> queries_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<float> joined_;     ///< [row]{query, key, value}, where they are projected together
  std::vector<float> block_out_;  ///< a block's output on its way to the stream; empty when it goes directly
  Activations normed_;
  Activations attended_;
  Activations final_;
};

}  // namespace

std::unique_ptr<Decoder> make_transformer(const Architecture& architecture, const formats::ModelFile& file,
                                          const DecoderOptions& options, kernels::ThreadPool& pool) {
  return std::make_unique<Transformer>(architecture, file, options, pool);
}

}  // namespace stepdown::model
