#include "engine/quant/methods/equal_scaling.h"

#include <algorithm>

namespace stepdown::quant {
namespace {

/// Multiplies each column by its scale.
void scale_columns(std::vector<float>& values, std::span<const float> scales) {
  for (std::size_t row = 0; row < values.size(); row += scales.size()) {
    for (std::size_t i = 0; i < scales.size(); ++i) values[row + i] *= scales[i];
  }
}

void divide_outputs(Linear& linear, std::int64_t first_row, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const auto row = first_row + static_cast<std::int64_t>(i);
    for (float& x : linear.weight.row_span(row)) x /= scales[i];
    if (!linear.bias.empty()) linear.bias[static_cast<std::size_t>(row)] /= scales[i];
  }
}

}  // namespace

std::vector<ScalingGroup> scaling_groups(DecoderBlock& block, std::span<const Stage> stages) {
  const formats::ModelConfig& config = block.config();
  const auto readers_at = [&](Stage stage) {
    std::vector<Linear*> linears;
    for (Linear& linear : block.linears()) {
      if (linear.place.stage == stage) linears.push_back(&linear);
    }
    return linears;
  };
  std::vector<ScalingGroup> groups;
  if (block.norm(Stage::kAttentionInput) != nullptr)
    groups.push_back({{Stage::kAttentionInput}, readers_at(Stage::kAttentionInput)});
  if (config.heads == config.kv_heads) {
    Linear* joined = block.find("attn_qkv");
    const std::int64_t first = joined == nullptr ? 0 : 2 * config.heads * config.head_dim;
    groups.push_back({{Stage::kAttentionOutput},
                      readers_at(Stage::kAttentionOutput),
                      joined == nullptr ? block.find("attn_v") : joined,
                      first});
  }
  if (block.norm(Stage::kFeedForwardInput) != nullptr)
    groups.push_back({{Stage::kFeedForwardInput}, readers_at(Stage::kFeedForwardInput)});
  for (Linear* down : readers_at(Stage::kFeedForwardOutput)) {
    const std::int64_t expert = down->place.expert;
    Linear* up = block.find(expert == Place::kNoExpert ? "ffn_up" : "ffn_up_exps", expert);
    groups.push_back({down->place, {down}, up, up->weight.rows - down->weight.columns});
  }
  std::erase_if(groups, [&](const ScalingGroup& group) {
    return std::ranges::find(stages, group.place.stage) == stages.end();
  });
  return groups;
}

void scale_equally(DecoderBlock& block, const ScalingGroup& group, std::span<const float> scales) {
  std::vector<float> applied(scales.begin(), scales.end());
  if (group.producer != nullptr) {
    divide_outputs(*group.producer, group.first_row, applied);
  } else {
    BlockTensor& norm = *block.norm(group.place.stage);
    for (std::size_t i = 0; i < applied.size(); ++i) {
      const float stored = as_stored(norm.values[i] / applied[i], norm.plus_one);
      if (stored != 0) applied[i] = norm.values[i] / stored;  // so that rounding the norm changes nothing
      norm.values[i] = stored;
    }
    BlockTensor* router = block.router();
    if (group.place.stage == Stage::kFeedForwardInput && router != nullptr)
      scale_columns(router->values, applied);
  }
  for (Linear* linear : group.linears) scale_columns(linear->weight.values, applied);
}

}  // namespace stepdown::quant
