#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/architecture.h"
#include "engine/model/decoder.h"
#include "engine/model/device_weights.h"
#include "engine/model/layer_rule.h"

namespace stepdown::model {

/// A decoder layer on a device: its weights, and its part of the KV cache's pages.
struct DeviceLayer {
  DeviceProjection qkv, output, gate_up, down;
  const float* attention_norm = nullptr;
  const float* feed_forward_norm = nullptr;
  const float* bias = nullptr;  ///< of queries, keys and values
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  LayerRule rule;
  kernels::cuda::KvLayer cache;
};

/// What a device holds of a model for as long as it serves it.
struct DeviceLayers {
  std::vector<DeviceLayer> layers;
  DeviceProjection output;
  const float* output_norm = nullptr;
  const float* frequencies = nullptr;
  std::int32_t pairs = 0;  ///< of rotated dimensions, a frequency each
  float magnitude = 1.0f;
  std::vector<kernels::cuda::Buffer> weights;
  kernels::cuda::Buffer vectors;
  kernels::cuda::Buffer cache;
};

/// Vectors of floats of all layers, copied to the device at once.
class DeviceVectors {
 public:
  /// Where `target` will point; null for an empty vector.
  void add(const std::vector<float>& values, const float*& target);
  kernels::cuda::Buffer load(const kernels::cuda::Device& device) const;

 private:
  std::vector<float> values_;
  std::vector<std::pair<const float**, std::size_t>> targets_;
};

/// Asks for all weights of a model, which says what memory they and the cache will take, then loads them.
class DeviceLayersLoader {
 public:
  /// Throws InputError when a tensor is missing or has another shape or type.
  DeviceLayersLoader(const Architecture& architecture, const formats::ModelFile& file,
                     const DecoderOptions& options);

  std::size_t weight_bytes() const { return weights_.bytes(); }
  std::size_t cache_bytes() const { return cache_bytes_; }
  /// Once.
  DeviceLayers load(const kernels::cuda::Device& device, kernels::ThreadPool& pool);

 private:
  void add_layer(const Architecture& architecture, std::int64_t index);
  void add_attention(const std::string& prefix, DeviceLayer& layer);
  void add_feed_forward(const std::string& prefix, DeviceLayer& layer);
  void add_output(const DecoderOptions& options);
  void lay_out_cache(const DecoderOptions& options);

  const formats::ModelConfig& config_;
  DeviceWeightLoader weights_;
  DeviceVectors vectors_;
  DeviceLayers made_;  ///< its cache pages are offsets until loaded
  std::size_t cache_bytes_ = 0;
};

}  // namespace stepdown::model
