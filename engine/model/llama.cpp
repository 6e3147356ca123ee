#include "engine/model/llama.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/dequantize.h"
#include "engine/kernels/matmul.h"
#include "engine/model/rope.h"
#include "engine/model/weights.h"

namespace stepdown::model {
namespace {

using kernels::Activations;
using kernels::PackedMatrix;
using kernels::Product;

constexpr std::int64_t kLogitRows = 16;  // rows the output matrix is multiplied with at once
constexpr std::int64_t kSerialRows = 4;  // fewer rows are not worth waking threads for

struct Layer {
  std::vector<float> attention_norm;
  std::vector<float> feed_forward_norm;
  PackedMatrix query, key, value, output;
  PackedMatrix gate, up, down;
};

void check(const formats::ModelConfig& config) {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw InputError(what, "model header", "convert the model again");
  };
  require(config.vocab > 0 && config.layers > 0 && config.hidden > 0 && config.feed_forward > 0,
          "vocabulary, layers, hidden and feed-forward lengths must be positive");
  require(config.heads > 0 && config.kv_heads > 0 && config.heads % config.kv_heads == 0,
          "query heads must be a multiple of key-value heads");
  require(config.head_dim > 0 && config.rope_dim > 0 && config.rope_dim % 2 == 0 &&
              config.rope_dim <= config.head_dim,
          "the rotary length must be even and at most a head's length");
}

class Llama final : public Decoder {
 public:
  Llama(const formats::ModelFile& file, const DecoderOptions& options, kernels::ThreadPool& pool)
      : config_(file.config()),
        pool_(pool),
        loader_(file),
        embeddings_(loader_.tensor("token_embd.weight", config_.vocab, config_.hidden)),
        rope_(config_.rope_dim, config_.rope_theta,
              loader_.optional_vector("rope_freqs.weight", config_.rope_dim / 2), options.max_rows),
        cache_({config_.layers, config_.kv_heads, config_.head_dim}, options.kv_type, options.kv_pages),
        attention_(cache_, config_.heads, options.context, pool.threads()),
        query_width_(config_.heads * config_.head_dim),
        kv_width_(config_.kv_heads * config_.head_dim),
        stream_(static_cast<std::size_t>(options.max_rows * config_.hidden)),
        queries_(static_cast<std::size_t>(options.max_rows * query_width_)),
        keys_(static_cast<std::size_t>(options.max_rows * kv_width_)),
        values_(keys_.size()),
        ups_(static_cast<std::size_t>(options.max_rows * config_.feed_forward)),
        normed_(options.max_rows, config_.hidden),
        attended_(options.max_rows, query_width_),
        gated_(options.max_rows, config_.feed_forward),
        final_(kLogitRows, config_.hidden) {
    load();
    kernels::dequantize_row(embeddings_.type, embedding(0),
                            {stream(0), static_cast<std::size_t>(config_.hidden)});
  }

  void forward(std::span<const SequenceSlice> slices) override {
    embed(slices);
    for (std::int64_t i = 0; i < config_.layers; ++i) {
      const Layer& layer = layers_[static_cast<std::size_t>(i)];
      attention_block(i, layer, slices);
      feed_forward_block(layer);
    }
  }

  void logits(std::span<const std::int64_t> rows, float* out) override {
    for (std::size_t done = 0; done < rows.size(); done += kLogitRows) {
      const std::size_t count = std::min<std::size_t>(kLogitRows, rows.size() - done);
      for (std::size_t i = 0; i < count; ++i) {
        norm_row(rows[done + i], output_norm_, final_, static_cast<std::int64_t>(i));
      }
      const Product product{&output_, out + done * static_cast<std::size_t>(config_.vocab), config_.vocab};
      kernels::multiply(pool_, operations_, final_, 0, static_cast<std::int64_t>(count), {&product, 1});
    }
  }

  std::size_t weight_bytes() const override { return weights_.size(); }

 private:
  void load() {
    layers_.resize(static_cast<std::size_t>(config_.layers));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::string prefix = "blk." + std::to_string(i) + ".";
      Layer& layer = layers_[i];
      layer.attention_norm = loader_.vector(prefix + "attn_norm.weight", config_.hidden);
      layer.feed_forward_norm = loader_.vector(prefix + "ffn_norm.weight", config_.hidden);
      loader_.matrix(prefix + "attn_q.weight", query_width_, config_.hidden, layer.query);
      loader_.matrix(prefix + "attn_k.weight", kv_width_, config_.hidden, layer.key);
      loader_.matrix(prefix + "attn_v.weight", kv_width_, config_.hidden, layer.value);
      loader_.matrix(prefix + "attn_output.weight", config_.hidden, query_width_, layer.output);
      loader_.matrix(prefix + "ffn_gate.weight", config_.feed_forward, config_.hidden, layer.gate);
      loader_.matrix(prefix + "ffn_up.weight", config_.feed_forward, config_.hidden, layer.up);
      loader_.matrix(prefix + "ffn_down.weight", config_.hidden, config_.feed_forward, layer.down);
    }
    output_norm_ = loader_.vector("output_norm.weight", config_.hidden);
    const std::string head = loader_.has("output.weight") ? "output.weight" : "token_embd.weight";
    loader_.matrix(head, config_.vocab, config_.hidden, output_);
    weights_ = loader_.pack(pool_);
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
    operations_.rms_norm(stream(row), weight.data(), config_.rms_eps, config_.hidden, into.row(at));
    into.encode(operations_, at);
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
        rope_.set(rows_, slice.position + static_cast<std::int64_t>(i));
      }
    }
  }

  void attention_block(std::int64_t index, const Layer& layer, std::span<const SequenceSlice> slices) {
    each_row([&](std::int64_t row) { norm_row(row, layer.attention_norm, normed_, row); });
    const std::array products = {Product{&layer.query, queries_.data(), query_width_},
                                 Product{&layer.key, keys_.data(), kv_width_},
                                 Product{&layer.value, values_.data(), kv_width_}};
    kernels::multiply(pool_, operations_, normed_, 0, rows_, products);
    place(index, slices);
    attention_.run(pool_, operations_, index, slices, queries_.data(), query_width_, attended_.row(0),
                   query_width_);
    each_row([&](std::int64_t row) { attended_.encode(operations_, row); });
    const Product product{&layer.output, stream(0), config_.hidden, true};
    kernels::multiply(pool_, operations_, attended_, 0, rows_, {&product, 1});
  }

  // Rotates queries and keys and writes keys and values to the cache.
  void place(std::int64_t index, std::span<const SequenceSlice> slices) {
    std::int64_t first = 0;
    for (const SequenceSlice& slice : slices) {
      const auto count = static_cast<std::int64_t>(slice.tokens.size());
      const auto one = [&](std::int64_t i, int /*worker*/) {
        const std::int64_t row = first + i;
        const std::int64_t position = slice.position + i;
        float* keys = keys_.data() + row * kv_width_;
        rope_.apply(row, queries_.data() + row * query_width_, config_.heads, config_.head_dim);
        rope_.apply(row, keys, config_.kv_heads, config_.head_dim);
        const std::int32_t page = slice.pages[static_cast<std::size_t>(position / KvCache::kPageTokens)];
        cache_.store(index, page, position % KvCache::kPageTokens, keys, values_.data() + row * kv_width_);
      };
      if (count < kSerialRows) {
        for (std::int64_t i = 0; i < count; ++i) one(i, 0);
      } else {
        pool_.each(count, one);
      }
      first += count;
    }
  }

  void feed_forward_block(const Layer& layer) {
    each_row([&](std::int64_t row) { norm_row(row, layer.feed_forward_norm, normed_, row); });
    const std::array products = {Product{&layer.gate, gated_.row(0), config_.feed_forward},
                                 Product{&layer.up, ups_.data(), config_.feed_forward}};
    kernels::multiply(pool_, operations_, normed_, 0, rows_, products);
    each_row([&](std::int64_t row) {
      operations_.silu_multiply(gated_.row(row), ups_.data() + row * config_.feed_forward,
                                config_.feed_forward);
      gated_.encode(operations_, row);
    });
    const Product product{&layer.down, stream(0), config_.hidden, true};
    kernels::multiply(pool_, operations_, gated_, 0, rows_, {&product, 1});
  }

  formats::ModelConfig config_;
  kernels::ThreadPool& pool_;
  const kernels::Operations& operations_ = kernels::operations();
  WeightLoader loader_;
  const TensorView& embeddings_;  ///< read from the file row by row
  Rope rope_;
  KvCache cache_;
  Attention attention_;
  std::int64_t query_width_;
  std::int64_t kv_width_;
  kernels::PageBuffer weights_;
  std::vector<Layer> layers_;
  std::vector<float> output_norm_;
  PackedMatrix output_;

  std::int64_t rows_ = 0;      ///< tokens of the current step
  std::vector<float> stream_;  ///< the residual stream, [row][hidden]
  std::vector<float> queries_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<float> ups_;
  Activations normed_;
  Activations attended_;
  Activations gated_;
  Activations final_;
};

}  // namespace

std::unique_ptr<Decoder> make_llama(const formats::ModelFile& file, const DecoderOptions& options,
                                    kernels::ThreadPool& pool) {
  check(file.config());
  return std::make_unique<Llama>(file, options, pool);
}

}  // namespace stepdown::model
