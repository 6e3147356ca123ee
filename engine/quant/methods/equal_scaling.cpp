#include "engine/quant/methods/equal_scaling.h"

#include "engine/base/half.h"

namespace stepdown::quant {

std::vector<ScalingGroup> scaling_groups(DecoderBlock& block) {
  const auto of = [&](std::string_view name) { return &block.linear(name); };
  std::vector<ScalingGroup> groups = {
      {Stage::kAttentionInput,
       {of("self_attn.q_proj"), of("self_attn.k_proj"), of("self_attn.v_proj")},
       nullptr}};
  if (of("self_attn.v_proj")->weight.rows == of("self_attn.o_proj")->weight.columns) {
    groups.push_back({Stage::kAttentionOutput, {of("self_attn.o_proj")}, of("self_attn.v_proj")});
  }
  groups.push_back({Stage::kFeedForwardInput, {of("mlp.gate_proj"), of("mlp.up_proj")}, nullptr});
  groups.push_back({Stage::kFeedForwardOutput, {of("mlp.down_proj")}, of("mlp.up_proj")});
  return groups;
}

void scale_equally(DecoderBlock& block, const ScalingGroup& group, std::span<const float> scales) {
  std::vector<float> applied(scales.begin(), scales.end());
  if (group.producer != nullptr) {
    Matrix& weight = group.producer->weight;
    for (std::int64_t row = 0; row < weight.rows; ++row) {
      for (float& x : weight.row_span(row)) x /= applied[static_cast<std::size_t>(row)];
    }
  } else {
    std::vector<float>& norm = block.norm(group.stage);
    for (std::size_t i = 0; i < norm.size(); ++i) {
      const float stored = f16_to_f32(f32_to_f16(norm[i] / applied[i]));
      if (stored != 0) applied[i] = norm[i] / stored;  // so that rounding the norm changes nothing
      norm[i] = stored;
    }
  }
  for (Linear* linear : group.linears) {
    for (std::int64_t row = 0; row < linear->weight.rows; ++row) {
      float* weights = linear->weight.row(row);
      for (std::size_t i = 0; i < applied.size(); ++i) weights[i] *= applied[i];
    }
  }
}

}  // namespace stepdown::quant
