#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/cuda/device_choice.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/attention.h"
#include "engine/model/kv_cache.h"
#include "engine/model/leading.h"

namespace stepdown::model {

struct DecoderOptions {
  std::int64_t context = 0;   ///< longest sequence
  std::int64_t max_rows = 0;  ///< tokens of one step, over all sequences
  std::int64_t kv_pages = 0;  ///< of KvCache::kPageTokens tokens
  KvType kv_type = KvType::kF16;
  std::vector<std::int64_t> f16_kv_layers = {};  ///< that keep binary16 whatever kv_type says
  /// Nothing reads the file again, so that its own copies of tensors are given back as they are repacked.
  bool last_use_of_file = false;
  AttentionProbe* probe = nullptr;           ///< sees every layer's attention; must outlive the decoder
  kernels::cuda::DeviceRequest device = {};  ///< what computes
};

/// A decoder-only transformer with its weights repacked for the kernels, and its key-value cache.
/// One thread at a time; it spreads the work over the pool.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Runs all layers over the slices' tokens, which together are at most max_rows, writing their keys and
  /// values.
  virtual void forward(std::span<const SequenceSlice> slices) = 0;
  /// Logits of rows of the last forward(), numbered over its slices' tokens, silent ones (of which there are
  /// none) included: out is [rows.size()][vocab].
  virtual void logits(std::span<const std::int64_t> rows, float* out) = 0;
  /// Whether the logits lie where a copy of whole rows takes longer than to find the leading ones.
  virtual bool finds_leading() const { return false; }
  /// What leads in each of those rows. Only where finds_leading().
  virtual void leading(std::span<const LeadingQuery> /*queries*/, LeadingLogits* /*out*/) {}
  /// The last layer's normed output for one of those rows, [hidden]: what embeddings are made of.
  virtual void hidden(std::int64_t row, float* out) = 0;
  /// Bytes of repacked weights.
  virtual std::size_t weight_bytes() const = 0;
  /// What computes: "cpu", or a GPU's name.
  virtual std::string_view device() const { return "cpu"; }
};

/// The decoder of the file's architecture. `file` and `pool` must outlive it.
/// On the device that the options ask for; where they leave the choice, a model that no CUDA kernel runs or
/// that does not fit goes to the CPU, and the log says why. Throws InputError when the architecture is
/// unknown, a tensor is missing or has a wrong shape or type, or a device that is asked for cannot be had.
std::unique_ptr<Decoder> make_decoder(const formats::ModelFile& file, const DecoderOptions& options,
                                      kernels::ThreadPool& pool);

}  // namespace stepdown::model
