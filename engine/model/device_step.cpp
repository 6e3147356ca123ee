#include "engine/model/device_step.h"

#include <algorithm>
#include <utility>

#include "engine/kernels/dequantize.h"

namespace stepdown::model {

namespace cuda = kernels::cuda;

DeviceStepInput::DeviceStepInput(const cuda::Device& device, const formats::ModelConfig& config,
                                 TensorView embeddings, std::int64_t max_rows, std::int64_t table_pages)
    : embeddings_(std::move(embeddings)),
      vocab_(config.vocab),
      hidden_(config.hidden),
      table_pages_(table_pages),
      item_tokens_(kItemRows / (config.heads / config.kv_heads)),
      embedding_scale_(config.embedding_scale),
      places_(static_cast<std::size_t>(max_rows * hidden_) * sizeof(float)),
      items_(places_ + static_cast<std::size_t>(max_rows) * sizeof(cuda::TokenPlace)),
      tables_(items_ + static_cast<std::size_t>(max_rows) * sizeof(cuda::AttentionItem)),
      bytes_(tables_ + static_cast<std::size_t>(max_rows * table_pages) * sizeof(std::int32_t)),
      host_(device, bytes_, cuda::Buffer::Where::kHost),
      device_side_(device, bytes_) {}

DeviceStep DeviceStepInput::write(std::span<const SequenceSlice> slices) {
  DeviceStep step;
  for (const SequenceSlice& slice : slices) step.single = step.single && slice.tokens.size() == 1;
  if (!step.single) step.item_tokens = item_tokens_;
  for (const SequenceSlice& slice : slices) {
    const auto count = static_cast<std::int64_t>(slice.tokens.size());
    std::ranges::copy(slice.pages, here<std::int32_t>(tables_) + step.tables);
    for (std::int64_t first = 0; first < count; first += step.item_tokens) {
      here<cuda::AttentionItem>(items_)[step.items++] = {
          static_cast<std::int32_t>(step.rows + first),
          static_cast<std::int32_t>(std::min(step.item_tokens, count - first)),
          static_cast<std::int32_t>(slice.position + first), static_cast<std::int32_t>(step.tables)};
    }
    for (std::int64_t i = 0; i < count; ++i, ++step.rows) {
      embed(slice.tokens[static_cast<std::size_t>(i)], step.rows);
      const std::int64_t position = slice.position + i;
      here<cuda::TokenPlace>(places_)[step.rows] = {
          static_cast<std::int32_t>(position),
          slice.pages[static_cast<std::size_t>(position / KvCache::kPageTokens)]};
    }
    step.tables += table_pages_;
  }
  return step;
}

void DeviceStepInput::embed(std::int32_t token, std::int64_t row) const {
  const std::size_t stored = embeddings_.data.size() / static_cast<std::size_t>(vocab_);
  const std::span<float> values(here<float>(0) + row * hidden_, static_cast<std::size_t>(hidden_));
  kernels::dequantize_row(embeddings_.type,
                          embeddings_.data.subspan(static_cast<std::size_t>(token) * stored, stored), values);
  if (embedding_scale_ == 1.0f) return;
  for (float& x : values) x *= embedding_scale_;
}

cuda::Failure DeviceStepInput::copy(const cuda::Device& device, const DeviceStep& step) const {
  const std::pair<std::size_t, std::size_t> parts[] = {
      {0, static_cast<std::size_t>(step.rows * hidden_) * sizeof(float)},
      {places_, static_cast<std::size_t>(step.rows) * sizeof(cuda::TokenPlace)},
      {items_, static_cast<std::size_t>(step.items) * sizeof(cuda::AttentionItem)},
      {tables_, static_cast<std::size_t>(step.tables) * sizeof(std::int32_t)}};
  for (const auto& [offset, bytes] : parts) {
    const cuda::Failure failure =
        device.runtime().to_device(device.stream(), device_side_.as() + offset, host_.as() + offset, bytes);
    if (failure != nullptr) return failure;
  }
  return nullptr;
}

}  // namespace stepdown::model
