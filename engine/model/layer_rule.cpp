#include "engine/model/layer_rule.h"

#include <cmath>

namespace stepdown::model {

LayerRule layer_rule(const Architecture& architecture, const formats::ModelConfig& config,
                     std::int64_t layer) {
  const auto every = [layer](std::int64_t n) { return n > 0 && (layer + 1) % n == 0; };
  const bool slides = config.sliding_window > 0 && !every(config.full_attention_every);
  const float plain = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  return {{config.attention_scale != 0.0f ? config.attention_scale : plain, config.attention_softcap,
           slides ? config.sliding_window : 0},
          !every(architecture.unrotated_every),
          slides && config.rope_theta_sliding > 0.0f};
}

std::string rope_factors_name(const formats::RopeScaling& scaling, std::int64_t context) {
  if (scaling.kind != formats::RopeScaling::Kind::kLong) return "rope_freqs.weight";
  return static_cast<float>(context) > scaling.original_context ? "rope_factors_long.weight"
                                                                : "rope_factors_short.weight";
}

}  // namespace stepdown::model
