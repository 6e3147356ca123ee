#include "engine/model/device_transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/kernels/dequantize.h"
#include "engine/model/device_weights.h"
#include "engine/model/rope.h"

namespace stepdown::model {
namespace {

namespace cuda = kernels::cuda;

constexpr std::int64_t kLogitRows = 16;  // rows the output matrix is multiplied with at once
constexpr std::int64_t kGraphRows = 64;  // steps of up to so many single tokens run as graphs
constexpr std::int64_t kItemRows = 64;   // query rows that a block of attention takes
constexpr std::int64_t kSplitRows =
    64;  // steps with more tokens fill the device without splitting their keys
constexpr std::int64_t kMostSplits = 16;
constexpr std::int64_t kPartialFloats = std::int64_t{4} << 20;  // room for parts of products

std::int64_t padded(std::int64_t columns) {
  return (columns + cuda::kUnitColumns - 1) / cuda::kUnitColumns * cuda::kUnitColumns;
}

std::int64_t stored_dim(std::int64_t head_dim) {
  return head_dim <= 64 ? 64 : head_dim <= 128 ? 128 : 256;
}

cuda::KvElement element_of(KvType type) {
  return type == KvType::kF16    ? cuda::KvElement::kHalf
         : type == KvType::kInt8 ? cuda::KvElement::kInt8
                                 : cuda::KvElement::kFp8;
}

/// What the kernels do not do; null when there is nothing.
const char* missing_for(const Architecture& architecture, const formats::ModelConfig& config,
                        const DecoderOptions& options) {
  if (config.experts > 0) return "mixtures of experts";
  if (architecture.norm_after || !architecture.norm_before) return "norms behind each block";
  if (architecture.query_key_norm == QueryKeyNorm::kAll) return "norms over all heads at once";
  if (config.residual_scale != 1.0f) return "scaled residuals";
  if (config.rope_theta_sliding > 0.0f) return "two kinds of rotary positions";
  if (config.head_dim > 256) return "heads wider than 256";
  if (config.heads / config.kv_heads > kItemRows) return "more than 64 query heads a key head";
  if (options.probe != nullptr) return "measuring attention";
  return nullptr;
}

struct Layer {
  DeviceProjection qkv, output, gate_up, down;
  const float* attention_norm = nullptr;
  const float* feed_forward_norm = nullptr;
  const float* bias = nullptr;  ///< of queries, keys and values
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  AttentionRule rule;
  bool rotates = true;
  cuda::KvLayer cache;
};

/// Vectors of floats of all layers, copied to the device at once.
class VectorStore {
 public:
  /// Where `target` will point; null for an empty vector.
  void add(const std::vector<float>& values, const float*& target) {
    if (values.empty()) return;
    targets_.emplace_back(&target, values_.size());
    values_.insert(values_.end(), values.begin(), values.end());
  }
  cuda::Buffer load(const cuda::Device& device) {
    cuda::Buffer buffer = cuda::upload(device, std::span<const float>(values_));
    for (const auto& [target, at] : targets_) *target = buffer.as<float>() + at;
    return buffer;
  }

 private:
  std::vector<float> values_;
  std::vector<std::pair<const float**, std::size_t>> targets_;
};

/// What a step tells the device: written to page-locked memory, copied at once, then read by all layers.
struct StepInput {
  StepInput(const cuda::Device& device, std::int64_t rows, std::int64_t hidden, std::int64_t table_pages)
      : places(static_cast<std::size_t>(rows * hidden) * sizeof(float)),
        items(places + static_cast<std::size_t>(rows) * sizeof(cuda::TokenPlace)),
        tables(items + static_cast<std::size_t>(rows) * sizeof(cuda::AttentionItem)),
        bytes(tables + static_cast<std::size_t>(rows * table_pages) * sizeof(std::int32_t)),
        host(device, bytes, cuda::Buffer::Where::kHost),
        device_side(device, bytes) {}

  template <class T>
  T* there(std::size_t offset) const {
    return reinterpret_cast<T*>(device_side.as() + offset);
  }
  template <class T>
  T* here(std::size_t offset) const {
    return reinterpret_cast<T*>(host.as() + offset);
  }

  std::size_t places, items, tables, bytes;  ///< offsets; the rows of the residual stream come first
  cuda::Buffer host, device_side;
};

class DeviceTransformer final : public Decoder {
 public:
  DeviceTransformer(const Architecture& architecture, const formats::ModelFile& file,
                    const DecoderOptions& options, kernels::ThreadPool& pool,
                    std::unique_ptr<cuda::Device> device)
      : config_(file.config()),
        neighbours_(architecture.rope == RopeLayout::kNeighbours),
        gate_(architecture.activation == Activation::kSilu ? cuda::Gate::kSilu : cuda::Gate::kGelu),
        device_(std::move(device)),
        table_pages_((options.context + KvCache::kPageTokens - 1) / KvCache::kPageTokens),
        max_rows_(options.max_rows),
        query_width_(config_.heads * config_.head_dim),
        kv_width_(config_.kv_heads * config_.head_dim),
        projected_width_(query_width_ + 2 * kv_width_) {
    if (const char* missing = missing_for(architecture, config_, options); missing != nullptr) {
      throw InputError("no CUDA kernel does " + std::string(missing), "architecture " + config_.architecture,
                       "serve it with --device cpu");
    }
    load(architecture, file, options, pool);
    make_buffers();
    if (!options.last_use_of_file) return;
    // Only now that nothing can fail any more: until here the CPU may have to read the file after all.
    for (const TensorView& tensor : file.tensors()) {
      if (tensor.name != embeddings_.name) file.discard(tensor);
    }
  }

  ~DeviceTransformer() override {
    for (const auto& [rows, graph] : graphs_) {
      if (graph != nullptr) device_->runtime().release_graph(graph);
    }
  }

  void forward(std::span<const SequenceSlice> slices) override {
    if (failed_) return;
    device_->select();
    check(device_->runtime().wait(stream()));  // the copies of the step before have been made
    const Step step = write_step(slices);
    copy_step(step);
    if (step.single && step.rows <= kGraphRows) {
      run_as_graph(step);
    } else {
      run_layers(step);
    }
  }

  void logits(std::span<const std::int64_t> rows, float* out) override {
    for (std::size_t done = 0; done < rows.size(); done += kLogitRows) {
      const std::size_t count = std::min<std::size_t>(kLogitRows, rows.size() - done);
      logit_rows(rows.subspan(done, count), out + done * static_cast<std::size_t>(config_.vocab));
    }
  }

  void hidden(std::int64_t row, float* out) override {
    const auto width = static_cast<std::size_t>(config_.hidden);
    std::vector<float> values(width, std::numeric_limits<float>::quiet_NaN());
    if (!failed_) {
      check(device_->runtime().to_host(stream(), values.data(), residual(row), width * sizeof(float)));
      check(device_->runtime().wait(stream()));
    }
    kernels::operations().rms_norm(values.data(), output_norm_.data(), config_.rms_eps, config_.hidden, out);
  }

  std::size_t weight_bytes() const override { return weight_bytes_; }
  std::string_view device() const override { return device_->facts().name; }

 private:
  /// What one step is made of.
  struct Step {
    std::int64_t rows = 0;
    std::int64_t items = 0;
    std::int64_t item_tokens = 1;
    std::int64_t tables = 0;  ///< page numbers
    bool single = true;       ///< one token a sequence
  };

  void load(const Architecture& architecture, const formats::ModelFile& file, const DecoderOptions& options,
            kernels::ThreadPool& pool) {
    DeviceWeightLoader loader(file);
    VectorStore vectors;
    layers_.resize(static_cast<std::size_t>(config_.layers));
    embeddings_ = loader.vectors().tensor("token_embd.weight", config_.vocab, config_.hidden);
    for (std::size_t i = 0; i < layers_.size(); ++i) load_layer(architecture, i, loader, vectors);
    output_norm_ = loader.vectors().vector("output_norm.weight", config_.hidden);
    vectors.add(output_norm_, output_norm_there_);
    const std::string head = loader.vectors().has("output.weight") ? "output.weight" : "token_embd.weight";
    loader.matrices({{head, config_.vocab}}, config_.hidden, output_);
    const RopeFrequencies rope = rope_frequencies(
        config_.rope_dim, config_.rope_theta,
        loader.vectors().optional_vector("rope_freqs.weight", config_.rope_dim / 2), config_.rope_scaling);
    magnitude_ = rope.magnitude;
    pairs_ = static_cast<std::int32_t>(rope.frequencies.size());
    vectors.add(rope.frequencies, frequencies_);

    const std::vector<KvType> types = kv_types(options.kv_type, config_.layers, options.f16_kv_layers);
    const std::int64_t page_bytes = lay_out_cache(types);
    const auto cache_bytes = static_cast<std::size_t>(page_bytes * options.kv_pages);
    weight_bytes_ = loader.bytes();
    check_memory(weight_bytes_, cache_bytes);
    cache_ = cuda::Buffer(*device_, cache_bytes);
    for (Layer& layer : layers_)
      layer.cache.pages = cache_.as() + reinterpret_cast<std::uintptr_t>(layer.cache.pages);
    weights_ = loader.load(*device_, pool);
    vectors_ = vectors.load(*device_);
  }

  void load_layer(const Architecture& architecture, std::size_t index, DeviceWeightLoader& loader,
                  VectorStore& vectors) {
    Layer& layer = layers_[index];
    const std::string prefix = "blk." + std::to_string(index) + ".";
    const WeightLoader& file = loader.vectors();
    vectors.add(file.vector(prefix + "attn_norm.weight", config_.hidden), layer.attention_norm);
    vectors.add(file.vector(prefix + "ffn_norm.weight", config_.hidden), layer.feed_forward_norm);
    if (architecture.query_key_norm == QueryKeyNorm::kHead) {
      vectors.add(file.vector(prefix + "attn_q_norm.weight", config_.head_dim), layer.query_norm);
      vectors.add(file.vector(prefix + "attn_k_norm.weight", config_.head_dim), layer.key_norm);
    }
    if (file.has(prefix + "attn_qkv.weight")) {
      loader.matrices({{prefix + "attn_qkv.weight", projected_width_}}, config_.hidden, layer.qkv);
    } else {
      loader.matrices({{prefix + "attn_q.weight", query_width_},
                       {prefix + "attn_k.weight", kv_width_},
                       {prefix + "attn_v.weight", kv_width_}},
                      config_.hidden, layer.qkv);
    }
    std::vector<float> bias;
    for (const auto& [name, width] :
         {std::pair("attn_q.bias", query_width_), {"attn_k.bias", kv_width_}, {"attn_v.bias", kv_width_}}) {
      const std::vector<float> part = file.optional_vector(prefix + name, width);
      bias.resize(bias.size() + static_cast<std::size_t>(width));
      std::copy(part.begin(), part.end(), bias.end() - width);
    }
    if (std::ranges::any_of(bias, [](float x) { return x != 0.0f; })) vectors.add(bias, layer.bias);
    loader.matrices({{prefix + "attn_output.weight", config_.hidden}}, query_width_, layer.output);
    if (file.has(prefix + "ffn_gate.weight")) {
      loader.matrices({{prefix + "ffn_gate.weight", config_.feed_forward},
                       {prefix + "ffn_up.weight", config_.feed_forward}},
                      config_.hidden, layer.gate_up);
    } else {  // the gate's rows first
      loader.matrices({{prefix + "ffn_up.weight", 2 * config_.feed_forward}}, config_.hidden, layer.gate_up);
    }
    loader.matrices({{prefix + "ffn_down.weight", config_.hidden}}, config_.feed_forward, layer.down);
    const auto number = static_cast<std::int64_t>(index) + 1;
    const auto every = [number](std::int64_t n) { return n > 0 && number % n == 0; };
    const bool slides = config_.sliding_window > 0 && !every(config_.full_attention_every);
    const float plain = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
    layer.rule = {config_.attention_scale != 0.0f ? config_.attention_scale : plain,
                  config_.attention_softcap, slides ? config_.sliding_window : 0};
    layer.rotates = !every(architecture.unrotated_every);
  }

  /// Gives each layer its place within a page, as an offset for now; returns a page's bytes.
  std::int64_t lay_out_cache(const std::vector<KvType>& types) {
    std::int64_t page = 0;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      cuda::KvLayer& cache = layers_[i].cache;
      cache = {reinterpret_cast<std::byte*>(page), 0, static_cast<std::int32_t>(config_.kv_heads),
               static_cast<std::int32_t>(stored_dim(config_.head_dim)), element_of(types[i])};
      page += cache.kv_heads * cache.head_bytes();
    }
    for (Layer& layer : layers_) layer.cache.page_bytes = page;
    return page;
  }

  void check_memory(std::size_t weights, std::size_t cache) const {
    const auto rows = static_cast<std::size_t>(max_rows_);
    const auto row = static_cast<std::size_t>(2 * config_.hidden + projected_width_ + query_width_ +
                                              3 * config_.feed_forward);
    const std::size_t other =
        rows * row * sizeof(float) +
        static_cast<std::size_t>(kLogitRows * config_.vocab + 2 * kPartialFloats) * sizeof(float) +
        (std::size_t{256} << 20);  // the driver's own, and graphs
    const std::size_t wanted = weights + cache + other;
    if (wanted <= device_->facts().free_bytes) return;
    const auto mib = [](std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
    throw InputError("needs " + mib(wanted) + " (weights " + mib(weights) + ", KV cache " + mib(cache) +
                         ") of " + mib(device_->facts().free_bytes) + " free",
                     "memory of " + std::string(device_->facts().name),
                     "lower --context or --max-sequences, or use --kv-type int8");
  }

  void make_buffers() {
    const auto rows = static_cast<std::size_t>(max_rows_);
    const auto halves = [&](std::int64_t columns) {
      return cuda::Buffer(*device_, rows * static_cast<std::size_t>(padded(columns)) * sizeof(std::uint16_t));
    };
    const auto floats = [&](std::size_t count) { return cuda::Buffer(*device_, count * sizeof(float)); };
    input_ = std::make_unique<StepInput>(*device_, max_rows_, config_.hidden, table_pages_);
    normed_ = halves(config_.hidden);
    queries_ = halves(query_width_);
    attended_ = halves(query_width_);
    gated_ = halves(config_.feed_forward);
    projected_ = floats(rows * static_cast<std::size_t>(projected_width_));
    gates_ = floats(rows * static_cast<std::size_t>(2 * config_.feed_forward));
    const std::int64_t split_rows = std::min(max_rows_, kSplitRows);
    attention_partials_ =
        floats(static_cast<std::size_t>(kMostSplits * split_rows * config_.heads * (config_.head_dim + 2)));
    product_partials_ = floats(static_cast<std::size_t>(kPartialFloats));
    logits_ = floats(static_cast<std::size_t>(kLogitRows * config_.vocab));
    logits_here_ = cuda::Buffer(*device_, logits_.size(), cuda::Buffer::Where::kHost);
    final_ = cuda::Buffer(
        *device_, static_cast<std::size_t>(kLogitRows * padded(config_.hidden)) * sizeof(std::uint16_t));
    chosen_ = cuda::Buffer(*device_, kLogitRows * sizeof(std::int32_t));
    chosen_here_ = cuda::Buffer(*device_, kLogitRows * sizeof(std::int32_t), cuda::Buffer::Where::kHost);
    summaries_ = cuda::Buffer(*device_, kLogitRows * sizeof(cuda::TokenSummary));
  }

  cuda::Stream stream() const { return device_->stream(); }
  float* residual(std::int64_t row) const { return input_->there<float>(0) + row * config_.hidden; }

  /// A device that failed once gives no more answers: every logit is NaN from then on, which ends each
  /// request with an error that says so and sends its traffic elsewhere.
  void check(cuda::Failure failure) {
    if (failure == nullptr || failed_) return;
    failed_ = true;
    log::error("the GPU failed; no more answers come from it",
               {{"device", "cuda:" + std::to_string(device_->ordinal())}, {"error", failure}});
  }

  // Embeddings are read from the file row by row, as on the CPU.
  Step write_step(std::span<const SequenceSlice> slices) {
    Step step;
    const auto hidden = static_cast<std::size_t>(config_.hidden);
    const std::size_t stored = embeddings_.data.size() / static_cast<std::size_t>(config_.vocab);
    for (const SequenceSlice& slice : slices) step.single = step.single && slice.tokens.size() == 1;
    if (!step.single) step.item_tokens = kItemRows / (config_.heads / config_.kv_heads);
    for (const SequenceSlice& slice : slices) {
      const auto count = static_cast<std::int64_t>(slice.tokens.size());
      std::ranges::copy(slice.pages, input_->here<std::int32_t>(input_->tables) + step.tables);
      for (std::int64_t first = 0; first < count; first += step.item_tokens) {
        input_->here<cuda::AttentionItem>(input_->items)[step.items++] = {
            static_cast<std::int32_t>(step.rows + first),
            static_cast<std::int32_t>(std::min(step.item_tokens, count - first)),
            static_cast<std::int32_t>(slice.position + first), static_cast<std::int32_t>(step.tables)};
      }
      for (std::int64_t i = 0; i < count; ++i, ++step.rows) {
        const auto token = static_cast<std::size_t>(slice.tokens[static_cast<std::size_t>(i)]);
        const std::span<float> row(input_->here<float>(0) + static_cast<std::size_t>(step.rows) * hidden,
                                   hidden);
        kernels::dequantize_row(embeddings_.type, embeddings_.data.subspan(token * stored, stored), row);
        if (config_.embedding_scale != 1.0f) {
          for (float& x : row) x *= config_.embedding_scale;
        }
        const std::int64_t position = slice.position + i;
        input_->here<cuda::TokenPlace>(input_->places)[step.rows] = {
            static_cast<std::int32_t>(position),
            slice.pages[static_cast<std::size_t>(position / KvCache::kPageTokens)]};
      }
      step.tables += table_pages_;
    }
    return step;
  }

  void copy_step(const Step& step) {
    const auto copy = [&](std::size_t offset, std::size_t bytes) {
      check(device_->runtime().to_device(stream(), input_->device_side.as() + offset,
                                         input_->host.as() + offset, bytes));
    };
    copy(0, static_cast<std::size_t>(step.rows * config_.hidden) * sizeof(float));
    copy(input_->places, static_cast<std::size_t>(step.rows) * sizeof(cuda::TokenPlace));
    copy(input_->items, static_cast<std::size_t>(step.items) * sizeof(cuda::AttentionItem));
    copy(input_->tables, static_cast<std::size_t>(step.tables) * sizeof(std::int32_t));
  }

  /// All that a step of single tokens launches depends on its number of rows alone: it is recorded once for
  /// each. Not the first time, as the driver loads kernels when they are first launched, which it may not do
  /// while it records.
  void run_as_graph(const Step& step) {
    const cuda::Runtime& runtime = device_->runtime();
    const auto [found, first] = graphs_.emplace(step.rows, nullptr);
    if (first) return run_layers(step);
    if (found->second == nullptr) {
      check(runtime.begin_graph(stream()));
      run_layers(step);
      check(runtime.end_graph(stream(), &found->second));
    }
    if (!failed_) check(runtime.run_graph(stream(), found->second));
  }

  void run_layers(const Step& step) {
    for (const Layer& layer : layers_) {
      attention_block(layer, step);
      feed_forward_block(layer, step);
    }
  }

  void norm(const float* weight, const Step& step) {
    check(device_->operations().rms_norm(stream(),
                                         {.rows = residual(0),
                                          .weight = weight,
                                          .epsilon = config_.rms_eps,
                                          .columns = static_cast<std::int32_t>(config_.hidden),
                                          .count = static_cast<std::int32_t>(step.rows),
                                          .out = normed_.as<std::uint16_t>(),
                                          .stride = static_cast<std::int32_t>(padded(config_.hidden))}));
  }

  void multiply(const DeviceProjection& weights, const cuda::Buffer& input, std::int64_t rows, float* out,
                bool accumulate) {
    for (const DeviceProjection::Part& part : weights.parts) {
      check(device_->operations().multiply(
          stream(), {.weights = part.matrix,
                     .input = input.as<std::uint16_t>(),
                     .input_stride = static_cast<std::int32_t>(padded(part.matrix.columns)),
                     .tokens = static_cast<std::int32_t>(rows),
                     .out = out + part.first,
                     .out_stride = weights.width,
                     .accumulate = accumulate,
                     .partials = product_partials_.as<float>(),
                     .partial_capacity = static_cast<std::size_t>(kPartialFloats)}));
    }
  }

  /// As many runs of keys as give each multiprocessor two blocks.
  std::int64_t splits_for(const Step& step) const {
    if (step.rows > kSplitRows) return 1;
    const std::int64_t blocks = step.items * config_.kv_heads;
    const std::int64_t wanted = (2 * device_->facts().multiprocessors + blocks - 1) / blocks;
    return std::clamp<std::int64_t>(wanted, 1, std::min(kMostSplits, table_pages_));
  }

  void attention_block(const Layer& layer, const Step& step) {
    norm(layer.attention_norm, step);
    multiply(layer.qkv, normed_, step.rows, projected_.as<float>(), false);
    const auto narrow = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
    check(device_->operations().place(stream(), {.projected = projected_.as<float>(),
                                                 .stride = narrow(projected_width_),
                                                 .tokens = narrow(step.rows),
                                                 .heads = narrow(config_.heads),
                                                 .kv_heads = narrow(config_.kv_heads),
                                                 .head_dim = narrow(config_.head_dim),
                                                 .bias = layer.bias,
                                                 .query_norm = layer.query_norm,
                                                 .key_norm = layer.key_norm,
                                                 .epsilon = config_.rms_eps,
                                                 .frequencies = layer.rotates ? frequencies_ : nullptr,
                                                 .pairs = pairs_,
                                                 .neighbours = neighbours_,
                                                 .magnitude = magnitude_,
                                                 .places = input_->there<cuda::TokenPlace>(input_->places),
                                                 .cache = layer.cache,
                                                 .queries = queries_.as<std::uint16_t>()}));
    check(device_->operations().attend(stream(), {.cache = layer.cache,
                                                  .queries = queries_.as<std::uint16_t>(),
                                                  .heads = narrow(config_.heads),
                                                  .head_dim = narrow(config_.head_dim),
                                                  .scale = layer.rule.scale,
                                                  .softcap = layer.rule.softcap,
                                                  .window = narrow(layer.rule.window),
                                                  .items = input_->there<cuda::AttentionItem>(input_->items),
                                                  .item_count = narrow(step.items),
                                                  .item_tokens = narrow(step.item_tokens),
                                                  .rows = narrow(step.rows),
                                                  .tables = input_->there<std::int32_t>(input_->tables),
                                                  .splits = narrow(splits_for(step)),
                                                  .partials = attention_partials_.as<float>(),
                                                  .out = attended_.as<std::uint16_t>(),
                                                  .stride = narrow(padded(query_width_))}));
    multiply(layer.output, attended_, step.rows, residual(0), true);
  }

  void feed_forward_block(const Layer& layer, const Step& step) {
    norm(layer.feed_forward_norm, step);
    multiply(layer.gate_up, normed_, step.rows, gates_.as<float>(), false);
    const auto inner = static_cast<std::int32_t>(config_.feed_forward);
    check(device_->operations().gate(stream(), {.gate = gates_.as<float>(),
                                                .up = gates_.as<float>() + inner,
                                                .stride = 2 * inner,
                                                .columns = inner,
                                                .tokens = static_cast<std::int32_t>(step.rows),
                                                .function = gate_,
                                                .out = gated_.as<std::uint16_t>(),
                                                .out_stride = static_cast<std::int32_t>(padded(inner))}));
    multiply(layer.down, gated_, step.rows, residual(0), true);
  }

  void logit_rows(std::span<const std::int64_t> rows, float* out) {
    const auto count = static_cast<std::int32_t>(rows.size());
    const std::size_t values = rows.size() * static_cast<std::size_t>(config_.vocab);
    if (!failed_) {
      device_->select();
      for (std::size_t i = 0; i < rows.size(); ++i)
        chosen_here_.as<std::int32_t>()[i] = static_cast<std::int32_t>(rows[i]);
      const cuda::Runtime& runtime = device_->runtime();
      check(runtime.to_device(stream(), chosen_.as(), chosen_here_.as(), rows.size() * sizeof(std::int32_t)));
      check(device_->operations().rms_norm(stream(),
                                           {.rows = residual(0),
                                            .weight = output_norm_there_,
                                            .epsilon = config_.rms_eps,
                                            .columns = static_cast<std::int32_t>(config_.hidden),
                                            .count = count,
                                            .gather = chosen_.as<std::int32_t>(),
                                            .out = final_.as<std::uint16_t>(),
                                            .stride = static_cast<std::int32_t>(padded(config_.hidden))}));
      multiply(output_, final_, count, logits_.as<float>(), false);
      if (config_.logit_scale != 1.0f || config_.logit_softcap > 0.0f) {
        check(device_->operations().summarize(stream(), {.logits = logits_.as<float>(),
                                                         .columns = static_cast<std::int32_t>(config_.vocab),
                                                         .rows = count,
                                                         .scale = config_.logit_scale,
                                                         .softcap = config_.logit_softcap,
                                                         .out = summaries_.as<cuda::TokenSummary>()}));
      }
      check(runtime.to_host(stream(), logits_here_.as(), logits_.as(), values * sizeof(float)));
      check(runtime.wait(stream()));
    }
    if (failed_) {
      std::fill_n(out, values, std::numeric_limits<float>::quiet_NaN());
    } else {
      std::copy_n(logits_here_.as<float>(), values, out);
    }
  }

  formats::ModelConfig config_;
  bool neighbours_;
  cuda::Gate gate_;
  std::unique_ptr<cuda::Device> device_;  ///< outlives every buffer below
  std::int64_t table_pages_;              ///< of a sequence as long as the context
  std::int64_t max_rows_;
  std::int64_t query_width_;
  std::int64_t kv_width_;
  std::int64_t projected_width_;

  TensorView embeddings_;
  std::vector<Layer> layers_;
  DeviceProjection output_;
  std::vector<float> output_norm_;
  const float* output_norm_there_ = nullptr;
  const float* frequencies_ = nullptr;
  std::int32_t pairs_ = 0;
  float magnitude_ = 1.0f;
  std::size_t weight_bytes_ = 0;
  std::vector<cuda::Buffer> weights_;
  cuda::Buffer vectors_;
  cuda::Buffer cache_;

  std::unique_ptr<StepInput> input_;                  ///< its rows become the residual stream
  cuda::Buffer normed_, queries_, attended_, gated_;  ///< halves
  cuda::Buffer projected_, gates_;  ///< floats: {queries, keys, values} and {gate, up} of each row
  cuda::Buffer attention_partials_, product_partials_;
  cuda::Buffer logits_, logits_here_, final_, chosen_, chosen_here_, summaries_;
  std::map<std::int64_t, cuda::Graph> graphs_;  ///< by rows; null: ran once
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<Decoder> make_device_transformer(const Architecture& architecture,
                                                 const formats::ModelFile& file,
                                                 const DecoderOptions& options, kernels::ThreadPool& pool,
                                                 std::unique_ptr<kernels::cuda::Device> device) {
  return std::make_unique<DeviceTransformer>(architecture, file, options, pool, std::move(device));
}

}  // namespace stepdown::model
