#include "engine/formats/hf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

namespace stepdown::formats {
namespace {

struct Architecture {
  std::string_view model_type;  ///< config.json's
  std::string_view gguf;
};
// Mistral's decoder is Llama's, apart from the sliding window.
constexpr std::array kArchitectures = {Architecture{"llama", "llama"}, Architecture{"mistral", "llama"}};

std::string architecture_of(const JsonView& config) {
  const JsonView type = config.required("model_type");
  const std::string name = type.text();
  const auto* row = std::ranges::find(kArchitectures, name, &Architecture::model_type);
  if (row != kArchitectures.end()) return std::string(row->gguf);
  type.fail("architecture \"" + name + "\" is not supported", "supported are llama and mistral");
}

void refuse_variants(const JsonView& config) {
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    const auto field = config.member(bias);
    if (field && field->boolean()) field->fail("biases are not supported", "give a model without them");
  }
  if (const auto act = config.member("hidden_act"); act && act->text() != "silu") {
    act->fail("activation \"" + act->text() + "\" is not supported", "supported is \"silu\"");
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

void read_rope(const JsonView& config, HfConfig& result) {
  const auto rope = rope_settings(config);
  double theta = config.number("rope_theta", 10000.0);
  if (rope) theta = rope->number("rope_theta", theta);
  result.model.rope_theta = static_cast<float>(theta);
  if (!rope) return;
  const std::string type = rope->text("rope_type", rope->text("type", "default"));
  if (type == "default") return;
  if (type != "llama3") {
    rope->fail("RoPE scaling \"" + type + "\" is not supported", "supported are \"default\" and \"llama3\"");
  }
  result.rope_factors = llama3_factors(*rope, theta, result.model.rope_dim);
}

}  // namespace

HfConfig config_from_hf(const JsonView& config) {
  HfConfig result;
  ModelConfig& model = result.model;
  model.architecture = architecture_of(config);
  refuse_variants(config);
  model.vocab = config.required("vocab_size").positive();
  model.layers = config.required("num_hidden_layers").positive();
  model.hidden = config.required("hidden_size").positive();
  model.feed_forward = config.required("intermediate_size").positive();
  model.heads = config.required("num_attention_heads").positive();
  const auto kv_heads = config.member("num_key_value_heads");
  model.kv_heads = kv_heads ? kv_heads->positive() : model.heads;
  if (model.heads % model.kv_heads != 0)
    kv_heads->fail("does not divide num_attention_heads", "the file is damaged");
  const auto head_dim = config.member("head_dim");
  model.head_dim = head_dim ? head_dim->positive() : model.hidden / model.heads;
  if (model.head_dim == 0 || model.head_dim % 2 != 0)
    config.fail("head_dim is not even", "the file is damaged");
  model.rope_dim = model.head_dim;
  model.context_length = config.required("max_position_embeddings").positive();
  if (const auto window = config.member("sliding_window")) {
    // Inside one window the sliding attention is the full one, so that far the model is exact.
    model.context_length = std::min(model.context_length, window->positive());
  }
  model.rms_eps = static_cast<float>(config.number("rms_norm_eps", 1e-6));
  model.tied_embeddings = config.boolean("tie_word_embeddings", false);
  read_rope(config, result);
  return result;
}

}  // namespace stepdown::formats
