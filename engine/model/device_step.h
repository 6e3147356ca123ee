#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/formats/model_file.h"
#include "engine/kernels/cuda/device.h"
#include "engine/model/decoder.h"

namespace stepdown::model {

/// What one step is made of.
struct DeviceStep {
  std::int64_t rows = 0;
  std::int64_t items = 0;
  std::int64_t item_tokens = 1;
  std::int64_t tables = 0;  ///< page numbers
  bool single = true;       ///< one token a sequence
};

/// What a step tells the device: written to page-locked memory, copied at once, then read by all layers.
class DeviceStepInput {
 public:
  static constexpr std::int64_t kItemRows = 64;  ///< query rows that a block of attention takes

  /// Steps of up to `max_rows` tokens, of sequences of up to `table_pages` pages. Embeddings are read from
  /// the file row by row, as on the CPU.
  DeviceStepInput(const kernels::cuda::Device& device, const formats::ModelConfig& config,
                  TensorView embeddings, std::int64_t max_rows, std::int64_t table_pages);

  DeviceStep write(std::span<const SequenceSlice> slices);
  kernels::cuda::Failure copy(const kernels::cuda::Device& device, const DeviceStep& step) const;

  float* rows() const { return there<float>(0); }  ///< [max_rows][hidden], which become the residual stream
  const kernels::cuda::TokenPlace* places() const { return there<kernels::cuda::TokenPlace>(places_); }
  const kernels::cuda::AttentionItem* items() const { return there<kernels::cuda::AttentionItem>(items_); }
  const std::int32_t* tables() const { return there<std::int32_t>(tables_); }

 private:
  template <class T>
  T* there(std::size_t offset) const {
    return reinterpret_cast<T*>(device_side_.as() + offset);
  }
  template <class T>
  T* here(std::size_t offset) const {
    return reinterpret_cast<T*>(host_.as() + offset);
  }
  void embed(std::int32_t token, std::int64_t row) const;

  TensorView embeddings_;
  std::int64_t vocab_, hidden_, table_pages_;
  std::int64_t item_tokens_;  ///< of steps that are not single
  float embedding_scale_;
  std::size_t places_, items_, tables_, bytes_;  ///< offsets; the rows come first
  kernels::cuda::Buffer host_, device_side_;
};

}  // namespace stepdown::model
