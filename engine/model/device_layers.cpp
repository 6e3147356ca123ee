#include "engine/model/device_layers.h"

#include <algorithm>

#include "engine/model/rope.h"

namespace stepdown::model {
namespace {

namespace cuda = kernels::cuda;

std::int64_t stored_dim(std::int64_t head_dim) {
  return head_dim <= 64 ? 64 : head_dim <= 128 ? 128 : 256;
}

cuda::KvElement element_of(KvType type) {
  switch (type) {
    case KvType::kF16:
      return cuda::KvElement::kHalf;
    case KvType::kInt8:
      return cuda::KvElement::kInt8;
    case KvType::kFp8:
      return cuda::KvElement::kFp8;
    case KvType::kInt4:
      break;
  }
  return cuda::KvElement::kInt4;
}

}  // namespace

void DeviceVectors::add(const std::vector<float>& values, const float*& target) {
  if (values.empty()) return;
  targets_.emplace_back(&target, values_.size());
  values_.insert(values_.end(), values.begin(), values.end());
}

cuda::Buffer DeviceVectors::load(const cuda::Device& device) const {
  cuda::Buffer buffer = cuda::upload(device, std::span<const float>(values_));
  for (const auto& [target, at] : targets_) *target = buffer.as<float>() + at;
  return buffer;
}

DeviceLayersLoader::DeviceLayersLoader(const Architecture& architecture, const formats::ModelFile& file,
                                       const DecoderOptions& options)
    : config_(file.config()), weights_(file) {
  made_.layers.resize(static_cast<std::size_t>(config_.layers));
  for (std::int64_t i = 0; i < config_.layers; ++i) add_layer(architecture, i);
  add_output(options);
  lay_out_cache(options);
}

DeviceLayers DeviceLayersLoader::load(const cuda::Device& device, kernels::ThreadPool& pool) {
  made_.cache = cuda::Buffer(device, cache_bytes_);
  for (DeviceLayer& layer : made_.layers)
    layer.cache.pages = made_.cache.as() + reinterpret_cast<std::uintptr_t>(layer.cache.pages);
  made_.weights = weights_.load(device, pool);
  made_.vectors = vectors_.load(device);
  return std::move(made_);
}

void DeviceLayersLoader::add_layer(const Architecture& architecture, std::int64_t index) {
  DeviceLayer& layer = made_.layers[static_cast<std::size_t>(index)];
  const std::string prefix = "blk." + std::to_string(index) + ".";
  const WeightLoader& file = weights_.vectors();
  vectors_.add(file.vector(prefix + "attn_norm.weight", config_.hidden), layer.attention_norm);
  vectors_.add(file.vector(prefix + "ffn_norm.weight", config_.hidden), layer.feed_forward_norm);
  if (architecture.query_key_norm == QueryKeyNorm::kHead) {
    vectors_.add(file.vector(prefix + "attn_q_norm.weight", config_.head_dim), layer.query_norm);
    vectors_.add(file.vector(prefix + "attn_k_norm.weight", config_.head_dim), layer.key_norm);
  }
  add_attention(prefix, layer);
  add_feed_forward(prefix, layer);
  layer.rule = layer_rule(architecture, config_, index);
}

void DeviceLayersLoader::add_attention(const std::string& prefix, DeviceLayer& layer) {
  const std::int64_t query_width = config_.heads * config_.head_dim;
  const std::int64_t kv_width = config_.kv_heads * config_.head_dim;
  const WeightLoader& file = weights_.vectors();
  if (file.has(prefix + "attn_qkv.weight")) {
    weights_.matrices({{prefix + "attn_qkv.weight", query_width + 2 * kv_width}}, config_.hidden, layer.qkv);
  } else {
    weights_.matrices({{prefix + "attn_q.weight", query_width},
                       {prefix + "attn_k.weight", kv_width},
                       {prefix + "attn_v.weight", kv_width}},
                      config_.hidden, layer.qkv);
  }
  std::vector<float> bias;
  for (const auto& [name, width] :
       {std::pair("attn_q.bias", query_width), {"attn_k.bias", kv_width}, {"attn_v.bias", kv_width}}) {
    const std::vector<float> part = file.optional_vector(prefix + name, width);
    bias.resize(bias.size() + static_cast<std::size_t>(width));
    std::copy(part.begin(), part.end(), bias.end() - width);
  }
  if (std::ranges::any_of(bias, [](float x) { return x != 0.0f; })) vectors_.add(bias, layer.bias);
  weights_.matrices({{prefix + "attn_output.weight", config_.hidden}}, query_width, layer.output);
}

void DeviceLayersLoader::add_feed_forward(const std::string& prefix, DeviceLayer& layer) {
  if (weights_.vectors().has(prefix + "ffn_gate.weight")) {
    weights_.matrices({{prefix + "ffn_gate.weight", config_.feed_forward},
                       {prefix + "ffn_up.weight", config_.feed_forward}},
                      config_.hidden, layer.gate_up);
  } else {  // the gate's rows first
    weights_.matrices({{prefix + "ffn_up.weight", 2 * config_.feed_forward}}, config_.hidden, layer.gate_up);
  }
  weights_.matrices({{prefix + "ffn_down.weight", config_.hidden}}, config_.feed_forward, layer.down);
}

void DeviceLayersLoader::add_output(const DecoderOptions& options) {
  const WeightLoader& file = weights_.vectors();
  vectors_.add(file.vector("output_norm.weight", config_.hidden), made_.output_norm);
  const std::string head = file.has("output.weight") ? "output.weight" : "token_embd.weight";
  weights_.matrices({{head, config_.vocab}}, config_.hidden, made_.output);
  const std::string factors = rope_factors_name(config_.rope_scaling, options.context);
  const RopeFrequencies rope =
      rope_frequencies(config_.rope_dim, config_.rope_theta,
                       file.optional_vector(factors, config_.rope_dim / 2), config_.rope_scaling);
  made_.magnitude = rope.magnitude;
  made_.pairs = static_cast<std::int32_t>(rope.frequencies.size());
  vectors_.add(rope.frequencies, made_.frequencies);
}

void DeviceLayersLoader::lay_out_cache(const DecoderOptions& options) {
  const std::vector<KvType> types = kv_types(options.kv_type, config_.layers, options.f16_kv_layers);
  std::int64_t page = 0;
  for (std::size_t i = 0; i < made_.layers.size(); ++i) {
    cuda::KvLayer& cache = made_.layers[i].cache;
    cache = {reinterpret_cast<std::byte*>(page), 0, static_cast<std::int32_t>(config_.kv_heads),
             static_cast<std::int32_t>(stored_dim(config_.head_dim)), element_of(types[i])};
    page += cache.kv_heads * cache.head_bytes();
  }
  for (DeviceLayer& layer : made_.layers) layer.cache.page_bytes = page;
  cache_bytes_ = static_cast<std::size_t>(page * options.kv_pages);
}

}  // namespace stepdown::model
