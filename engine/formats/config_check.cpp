#include <array>
#include <cmath>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/formats/model_check.h"

namespace stepdown::formats {
namespace {

using Config = ModelConfig;

/// A number of the header and what no real model passes; not a number fails every range.
struct NumberRule {
  std::string_view gguf;
  std::string_view hf;
  double (*get)(const Config&);
  double lowest;
  double highest;
  bool zero_means_none = false;
};

template <auto Member>
double number(const Config& config) {
  return static_cast<double>(config.*Member);
}
template <auto Member>
double scaling(const Config& config) {
  return static_cast<double>(config.rope_scaling.*Member);
}

constexpr double kLongest = 1 << 26;  // of a context, in tokens

// Upper bounds are far above every published model and keep products inside 64 bits.
constexpr std::array kNumberRules = {
    NumberRule{"vocab_size", "vocab_size", number<&Config::vocab>, 1, 1 << 22},
    NumberRule{"block_count", "num_hidden_layers", number<&Config::layers>, 1, 1 << 12},
    NumberRule{"embedding_length", "hidden_size", number<&Config::hidden>, 1, 1 << 20},
    NumberRule{"feed_forward_length", "intermediate_size", number<&Config::feed_forward>, 1, 1 << 22},
    NumberRule{"attention.head_count", "num_attention_heads", number<&Config::heads>, 1, 1 << 14},
    NumberRule{"attention.head_count_kv", "num_key_value_heads", number<&Config::kv_heads>, 1, 1 << 14},
    NumberRule{"attention.key_length", "head_dim", number<&Config::head_dim>, 2, 1 << 14},
    NumberRule{"rope.dimension_count", "partial_rotary_factor", number<&Config::rope_dim>, 2, 1 << 14},
    NumberRule{"context_length", "max_position_embeddings", number<&Config::context_length>, 1, kLongest},
    NumberRule{"expert_count", "num_experts", number<&Config::experts>, 0, 1 << 12},
    NumberRule{"attention.layer_norm_rms_epsilon", "rms_norm_eps", number<&Config::rms_eps>, 1e-12, 0.1},
    NumberRule{"rope.freq_base", "rope_theta", number<&Config::rope_theta>, 2, 1e12},
    NumberRule{"rope.freq_base_swa", "rope_local_base_freq", number<&Config::rope_theta_sliding>, 2, 1e12,
               true},
    NumberRule{"rope.scaling.factor", "rope_scaling.factor", scaling<&RopeScaling::factor>, 1e-3, 1e5},
    NumberRule{"rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings",
               scaling<&RopeScaling::original_context>, 1, kLongest, true},
    NumberRule{"rope.scaling.attn_factor", "rope_scaling.attention_factor",
               scaling<&RopeScaling::attention_factor>, 1e-3, 1e3, true},
    NumberRule{"rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast", scaling<&RopeScaling::beta_fast>,
               1e-3, 1e5},
    NumberRule{"rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow", scaling<&RopeScaling::beta_slow>,
               1e-3, 1e5},
    NumberRule{"attention.scale", "attention_multiplier", number<&Config::attention_scale>, 1e-6, 1e3, true},
    NumberRule{"attn_logit_softcapping", "attn_logit_softcapping", number<&Config::attention_softcap>, 1e-3,
               1e6, true},
    NumberRule{"final_logit_softcapping", "final_logit_softcapping", number<&Config::logit_softcap>, 1e-3,
               1e6, true},
    NumberRule{"embedding_scale", "embedding_multiplier", number<&Config::embedding_scale>, 1e-6, 1e6},
    NumberRule{"residual_scale", "residual_multiplier", number<&Config::residual_scale>, 1e-6, 1e6},
    NumberRule{"logit_scale", "logits_scaling", number<&Config::logit_scale>, 1e-6, 1e6},
};

/// What two fields must be to each other.
struct RelationRule {
  std::string_view gguf;
  std::string_view hf;
  bool (*holds)(const Config&);
  const char* says;
};

constexpr std::array kRelationRules = {
    RelationRule{"attention.head_count_kv", "num_key_value_heads",
                 [](const Config& c) { return c.heads % c.kv_heads == 0; },
                 "does not divide the number of heads"},
    RelationRule{"rope.dimension_count", "head_dim",
                 [](const Config& c) { return c.rope_dim % 2 == 0 && c.rope_dim <= c.head_dim; },
                 "is not even, or longer than a head"},
    RelationRule{"expert_used_count", "num_experts_per_tok",
                 [](const Config& c) {
                   return c.experts == 0 || (c.experts_used >= 1 && c.experts_used <= c.experts);
                 },
                 "is not between one expert and all of them"},
    RelationRule{"rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings",
                 [](const Config& c) {
                   return c.rope_scaling.kind != RopeScaling::Kind::kYarn ||
                          c.rope_scaling.original_context > 0;
                 },
                 "is 0, though YaRN scales by it"},
    RelationRule{"rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast",
                 [](const Config& c) { return c.rope_scaling.beta_fast > c.rope_scaling.beta_slow; },
                 "is not above beta_slow"},
};

std::string text_of(double value) {
  std::array<char, 32> text;
  const bool whole = std::fabs(value) < 1e15 && value == std::floor(value);
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.6g", value);
  return text.data();
}

}  // namespace

void check_config(const ModelConfig& config, const ModelPlace& place) {
  constexpr const char* kMend = "the header is damaged or lies: convert or download the model again";
  for (const NumberRule& rule : kNumberRules) {
    const double value = rule.get(config);
    if (rule.zero_means_none && value == 0.0) continue;
    if (value >= rule.lowest && value <= rule.highest) continue;
    throw InputError(
        "is " + text_of(value) + ", not between " + text_of(rule.lowest) + " and " + text_of(rule.highest),
        place.config(config, rule.gguf, rule.hf), kMend);
  }
  for (const RelationRule& rule : kRelationRules) {
    if (!rule.holds(config)) throw InputError(rule.says, place.config(config, rule.gguf, rule.hf), kMend);
  }
}

}  // namespace stepdown::formats
