#include "engine/formats/hf_config.h"

#include <cmath>
#include <numbers>
#include <string>

#include "engine/formats/hf_architecture.h"

namespace stepdown::formats {
namespace {

void refuse_variants(const JsonView& config, const HfArchitecture& architecture) {
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    const auto field = config.member(bias);
    if (field && field->boolean()) field->fail("biases are not supported", "give a model without them");
  }
  const bool gelu = architecture.norms_from_one;  // Gemma's
  const std::string wanted = gelu ? "gelu_pytorch_tanh" : "silu";
  const auto act = config.member(gelu ? "hidden_activation" : "hidden_act");
  if (act && act->text() != wanted) {
    act->fail("activation \"" + act->text() + "\" is not supported", "supported is \"" + wanted + "\"");
  }
}

/// Where the RoPE settings stand: "rope_parameters" since transformers 5, "rope_scaling" before.
std::optional<JsonView> rope_settings(const JsonView& config) {
  if (auto settings = config.member("rope_parameters")) return settings;
  return config.member("rope_scaling");
}

/// Llama 3.1's frequency scaling (Meta's llama-models, apply_scaling): long waves are slowed by `factor`,
/// short ones kept, those between blended.
std::vector<float> llama3_factors(const JsonView& rope, double theta, std::int64_t rope_dim) {
  const double factor = rope.number("factor", 8.0);
  const double low = rope.number("low_freq_factor", 1.0);
  const double high = rope.number("high_freq_factor", 4.0);
  const double context = rope.number("original_max_position_embeddings", 8192.0);
  if (!(factor > 0) || !(low > 0) || !(high > low) || !(context > 0)) {
    rope.fail("factors out of order", "0 < low_freq_factor < high_freq_factor, factor > 0");
  }
  std::vector<float> factors;
  for (std::int64_t i = 0; i < rope_dim; i += 2) {
    const double wave =
        2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(rope_dim));
    if (wave < context / high) {
      factors.push_back(1.0f);
    } else if (wave > context / low) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (context / wave - low) / (high - low);
      factors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

RopeScaling scaling_of(const JsonView& rope, const std::string& type, const ModelConfig& model) {
  RopeScaling scaling;
  scaling.kind = type == "yarn" ? RopeScaling::Kind::kYarn : RopeScaling::Kind::kLinear;
  scaling.factor = static_cast<float>(rope.required("factor").number());
  if (scaling.kind == RopeScaling::Kind::kLinear) return scaling;
  for (const char* unknown : {"mscale", "mscale_all_dim"}) {
    if (const auto field = rope.member(unknown))
      field->fail("is not supported", "give attention_factor instead");
  }
  scaling.original_context = static_cast<float>(
      rope.number("original_max_position_embeddings", static_cast<double>(model.context_length)));
  scaling.attention_factor = static_cast<float>(rope.number("attention_factor", 0.0));
  scaling.beta_fast = static_cast<float>(rope.number("beta_fast", 32.0));
  scaling.beta_slow = static_cast<float>(rope.number("beta_slow", 1.0));
  return scaling;
}

void read_rope(const JsonView& config, HfConfig& result) {
  const auto rope = rope_settings(config);
  double theta = config.number("rope_theta", 10000.0);
  if (rope) theta = rope->number("rope_theta", theta);
  result.model.rope_theta = static_cast<float>(theta);
  if (!rope) return;
  const std::string type = rope->text("rope_type", rope->text("type", "default"));
  if (type == "default") return;
  if (type == "llama3") {
    result.rope_factors = llama3_factors(*rope, theta, result.model.rope_dim);
  } else if (type == "linear" || type == "yarn") {
    result.model.rope_scaling = scaling_of(*rope, type, result.model);
  } else {
    rope->fail("RoPE scaling \"" + type + "\" is not supported",
               "supported are \"default\", \"linear\", \"llama3\" and \"yarn\"");
  }
}

}  // namespace

HfConfig config_from_hf(const JsonView& config) {
  HfConfig result;
  ModelConfig& model = result.model;
  const HfArchitecture& architecture = hf_architecture(config);
  model.architecture = architecture.gguf;
  refuse_variants(config, architecture);
  model.vocab = config.required("vocab_size").positive();
  model.layers = config.required("num_hidden_layers").positive();
  model.hidden = config.required("hidden_size").positive();
  model.feed_forward = config.required("intermediate_size").positive();
  model.heads = config.required("num_attention_heads").positive();
  const auto kv_heads = config.member("num_key_value_heads");
  model.kv_heads = kv_heads ? kv_heads->positive() : model.heads;
  const auto head_dim = config.member("head_dim");
  model.head_dim = head_dim ? head_dim->positive() : model.hidden / model.heads;
  model.rope_dim = model.head_dim;
  model.context_length = config.required("max_position_embeddings").positive();
  model.rms_eps = static_cast<float>(config.number("rms_norm_eps", 1e-6));
  model.tied_embeddings = config.boolean("tie_word_embeddings", architecture.tied_by_default);
  if (architecture.read != nullptr) architecture.read(config, model);
  read_rope(config, result);
  return result;
}

}  // namespace stepdown::formats
