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
#include "engine/model/device_layers.h"
#include "engine/model/device_logits.h"
#include "engine/model/device_products.h"
#include "engine/model/device_step.h"

namespace stepdown::model {
namespace {

namespace cuda = kernels::cuda;

constexpr std::int64_t kGraphRows = 64;  // steps of up to so many single tokens run as graphs
// Steps with more tokens fill the device without splitting their keys.
constexpr std::int64_t kSplitRows = 64;
constexpr std::int64_t kMostSplits = 16;

/// What the kernels do not do; null when there is nothing.
const char* missing_for(const Architecture& architecture, const formats::ModelConfig& config,
                        const DecoderOptions& options) {
  if (config.experts > 0) return "mixtures of experts";
  if (architecture.norm_after || !architecture.norm_before) return "norms behind each block";
  if (architecture.query_key_norm == QueryKeyNorm::kAll) return "norms over all heads at once";
  if (config.residual_scale != 1.0f) return "scaled residuals";
  if (config.rope_theta_sliding > 0.0f) return "two kinds of rotary positions";
  if (config.head_dim > 256) return "heads wider than 256";
  if (config.heads / config.kv_heads > DeviceStepInput::kItemRows)
    return "more than 64 query heads a key head";
  if (options.probe != nullptr) return "measuring attention";
  return nullptr;
}

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
    embeddings_ = WeightLoader(file).tensor("token_embd.weight", config_.vocab, config_.hidden);
    output_norm_ = WeightLoader(file).vector("output_norm.weight", config_.hidden);
    DeviceLayersLoader loader(architecture, file, options);
    weight_bytes_ = loader.weight_bytes();
    check_memory(weight_bytes_, loader.cache_bytes());
    model_ = loader.load(*device_, pool);
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
    const DeviceStep step = input_->write(slices);
    check(input_->copy(*device_, step));
    if (step.single && step.rows <= kGraphRows) {
      run_as_graph(step);
    } else {
      run_layers(step);
    }
  }

  void logits(std::span<const std::int64_t> rows, float* out) override {
    if (!failed_) check(logits_->whole(residual(0), rows, out));
    if (failed_)
      std::fill_n(out, rows.size() * static_cast<std::size_t>(config_.vocab),
                  std::numeric_limits<float>::quiet_NaN());
  }

  bool finds_leading() const override { return true; }

  void leading(std::span<const LeadingQuery> queries, LeadingLogits* out) override {
    if (!failed_) check(logits_->leading(residual(0), queries, out));
    if (failed_) std::fill_n(out, queries.size(), LeadingLogits{});  // not finite
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
  void check_memory(std::size_t weights, std::size_t cache) const {
    const auto rows = static_cast<std::size_t>(max_rows_);
    const auto row = static_cast<std::size_t>(2 * config_.hidden + projected_width_ + query_width_ +
                                              3 * config_.feed_forward);
    const std::size_t other =
        rows * row * sizeof(float) +
        static_cast<std::size_t>(DeviceLogits::kRows * config_.vocab + 2 * DeviceProducts::kPartialFloats) *
            sizeof(float) +
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
      return cuda::Buffer(*device_,
                          rows * static_cast<std::size_t>(padded_columns(columns)) * sizeof(std::uint16_t));
    };
    const auto floats = [&](std::size_t count) { return cuda::Buffer(*device_, count * sizeof(float)); };
    input_ = std::make_unique<DeviceStepInput>(*device_, config_, embeddings_, max_rows_, table_pages_);
    normed_ = halves(config_.hidden);
    queries_ = halves(query_width_);
    attended_ = halves(query_width_);
    gated_ = halves(config_.feed_forward);
    projected_ = floats(rows * static_cast<std::size_t>(projected_width_));
    gates_ = floats(rows * static_cast<std::size_t>(2 * config_.feed_forward));
    const std::int64_t split_rows = std::min(max_rows_, kSplitRows);
    attention_partials_ =
        floats(static_cast<std::size_t>(kMostSplits * split_rows * config_.heads * (config_.head_dim + 2)));
    products_ = std::make_unique<DeviceProducts>(*device_);
    logits_ = std::make_unique<DeviceLogits>(*device_, config_, model_, *products_);
  }

  cuda::Stream stream() const { return device_->stream(); }
  float* residual(std::int64_t row) const { return input_->rows() + row * config_.hidden; }

  /// A device that failed once gives no more answers: every logit is NaN from then on, which ends each
  /// request with an error that says so and sends its traffic elsewhere.
  void check(cuda::Failure failure) {
    if (failure == nullptr || failed_) return;
    failed_ = true;
    log::error("the GPU failed; no more answers come from it",
               {{"device", "cuda:" + std::to_string(device_->ordinal())}, {"error", failure}});
  }

  /// All that a step of single tokens launches depends on its number of rows alone: it is recorded once for
  /// each. Not the first time, as the driver loads kernels when they are first launched, which it may not do
  /// while it records.
  void run_as_graph(const DeviceStep& step) {
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

  void run_layers(const DeviceStep& step) {
    for (const DeviceLayer& layer : model_.layers) {
      attention_block(layer, step);
      feed_forward_block(layer, step);
    }
  }

  void norm(const float* weight, const DeviceStep& step) {
    check(device_->operations().rms_norm(
        stream(), {.rows = residual(0),
                   .weight = weight,
                   .epsilon = config_.rms_eps,
                   .columns = static_cast<std::int32_t>(config_.hidden),
                   .count = static_cast<std::int32_t>(step.rows),
                   .out = normed_.as<std::uint16_t>(),
                   .stride = static_cast<std::int32_t>(padded_columns(config_.hidden))}));
  }

  void multiply(const DeviceProjection& weights, const cuda::Buffer& input, std::int64_t rows, float* out,
                bool accumulate) {
    check(products_->multiply(weights, input, rows, out, accumulate));
  }

  /// As many runs of keys as give each multiprocessor two blocks.
  std::int64_t splits_for(const DeviceStep& step) const {
    if (step.rows > kSplitRows) return 1;
    const std::int64_t blocks = step.items * config_.kv_heads;
    const std::int64_t wanted = (std::int64_t{2} * device_->facts().multiprocessors + blocks - 1) / blocks;
    return std::clamp<std::int64_t>(wanted, 1, std::min(kMostSplits, table_pages_));
  }

  void attention_block(const DeviceLayer& layer, const DeviceStep& step) {
    norm(layer.attention_norm, step);
    multiply(layer.qkv, normed_, step.rows, projected_.as<float>(), false);
    const auto narrow = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
    check(device_->operations().place(stream(),
                                      {.projected = projected_.as<float>(),
                                       .stride = narrow(projected_width_),
                                       .tokens = narrow(step.rows),
                                       .heads = narrow(config_.heads),
                                       .kv_heads = narrow(config_.kv_heads),
                                       .head_dim = narrow(config_.head_dim),
                                       .bias = layer.bias,
                                       .query_norm = layer.query_norm,
                                       .key_norm = layer.key_norm,
                                       .epsilon = config_.rms_eps,
                                       .frequencies = layer.rule.rotates ? model_.frequencies : nullptr,
                                       .pairs = model_.pairs,
                                       .neighbours = neighbours_,
                                       .magnitude = model_.magnitude,
                                       .places = input_->places(),
                                       .cache = layer.cache,
                                       .queries = queries_.as<std::uint16_t>()}));
    check(device_->operations().attend(stream(), {.cache = layer.cache,
                                                  .queries = queries_.as<std::uint16_t>(),
                                                  .heads = narrow(config_.heads),
                                                  .head_dim = narrow(config_.head_dim),
                                                  .scale = layer.rule.attention.scale,
                                                  .softcap = layer.rule.attention.softcap,
                                                  .window = narrow(layer.rule.attention.window),
                                                  .items = input_->items(),
                                                  .item_count = narrow(step.items),
                                                  .item_tokens = narrow(step.item_tokens),
                                                  .rows = narrow(step.rows),
                                                  .tables = input_->tables(),
                                                  .splits = narrow(splits_for(step)),
                                                  .partials = attention_partials_.as<float>(),
                                                  .out = attended_.as<std::uint16_t>(),
                                                  .stride = narrow(padded_columns(query_width_))}));
    multiply(layer.output, attended_, step.rows, residual(0), true);
  }

  void feed_forward_block(const DeviceLayer& layer, const DeviceStep& step) {
    norm(layer.feed_forward_norm, step);
    multiply(layer.gate_up, normed_, step.rows, gates_.as<float>(), false);
    const auto inner = static_cast<std::int32_t>(config_.feed_forward);
    check(device_->operations().gate(stream(),
                                     {.gate = gates_.as<float>(),
                                      .up = gates_.as<float>() + inner,
                                      .stride = 2 * inner,
                                      .columns = inner,
                                      .tokens = static_cast<std::int32_t>(step.rows),
                                      .function = gate_,
                                      .out = gated_.as<std::uint16_t>(),
                                      .out_stride = static_cast<std::int32_t>(padded_columns(inner))}));
    multiply(layer.down, gated_, step.rows, residual(0), true);
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
  std::vector<float> output_norm_;
  std::size_t weight_bytes_ = 0;
  DeviceLayers model_;

  std::unique_ptr<DeviceStepInput> input_;            ///< its rows become the residual stream
  cuda::Buffer normed_, queries_, attended_, gated_;  ///< halves
  cuda::Buffer projected_, gates_;  ///< floats: {queries, keys, values} and {gate, up} of each row
  cuda::Buffer attention_partials_;
  std::unique_ptr<DeviceProducts> products_;
  std::unique_ptr<DeviceLogits> logits_;
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
