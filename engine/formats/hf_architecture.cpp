#include "engine/formats/hf_architecture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace stepdown::formats {
namespace {

using Config = ModelConfig;

// Lengths of the tensors.
std::int64_t hidden(const Config& c) {
  return c.hidden;
}
std::int64_t feed_forward(const Config& c) {
  return c.feed_forward;
}
std::int64_t both_feed_forward(const Config& c) {
  return 2 * c.feed_forward;
}
std::int64_t query_rows(const Config& c) {
  return c.heads * c.head_dim;
}
std::int64_t key_rows(const Config& c) {
  return c.kv_heads * c.head_dim;
}
std::int64_t all_rows(const Config& c) {
  return (c.heads + 2 * c.kv_heads) * c.head_dim;
}
std::int64_t heads(const Config& c) {
  return c.heads;
}
std::int64_t kv_heads(const Config& c) {
  return c.kv_heads;
}
std::int64_t head_dim(const Config& c) {
  return c.head_dim;
}
std::int64_t experts(const Config& c) {
  return c.experts;
}

using Tensor = HfLayerTensor;
constexpr Tensor kAttentionNorm{"input_layernorm.weight", "attn_norm.weight", hidden};
constexpr Tensor kFeedForwardNorm{"post_attention_layernorm.weight", "ffn_norm.weight", hidden};
constexpr Tensor kQuery{"self_attn.q_proj.weight", "attn_q.weight", query_rows, hidden};
constexpr Tensor kKey{"self_attn.k_proj.weight", "attn_k.weight", key_rows, hidden};
// Llama's GGUF heads rotate neighbours.
constexpr Tensor kPermutedQuery{"self_attn.q_proj.weight", "attn_q.weight", query_rows, hidden, heads};
constexpr Tensor kPermutedKey{"self_attn.k_proj.weight", "attn_k.weight", key_rows, hidden, kv_heads};
constexpr Tensor kValue{"self_attn.v_proj.weight", "attn_v.weight", key_rows, hidden};
constexpr Tensor kOutput{"self_attn.o_proj.weight", "attn_output.weight", hidden, query_rows};
constexpr Tensor kGate{"mlp.gate_proj.weight", "ffn_gate.weight", feed_forward, hidden};
constexpr Tensor kUp{"mlp.up_proj.weight", "ffn_up.weight", feed_forward, hidden};
constexpr Tensor kDown{"mlp.down_proj.weight", "ffn_down.weight", hidden, feed_forward};
constexpr Tensor kQueryHeadNorm{"self_attn.q_norm.weight", "attn_q_norm.weight", head_dim};
constexpr Tensor kKeyHeadNorm{"self_attn.k_norm.weight", "attn_k_norm.weight", head_dim};
constexpr Tensor kAfterAttention{"post_attention_layernorm.weight", "post_attention_norm.weight", hidden};
constexpr Tensor kAfterFeedForward{"post_feedforward_layernorm.weight", "post_ffw_norm.weight", hidden};
constexpr Tensor kBeforeFeedForward{"pre_feedforward_layernorm.weight", "ffn_norm.weight", hidden};

constexpr std::array kLlama = {kAttentionNorm,   kPermutedQuery, kPermutedKey, kValue, kOutput,
                               kFeedForwardNorm, kGate,          kUp,          kDown};
constexpr std::array kQwen2 = {kAttentionNorm,
                               kQuery,
                               kKey,
                               kValue,
                               Tensor{"self_attn.q_proj.bias", "attn_q.bias", query_rows},
                               Tensor{"self_attn.k_proj.bias", "attn_k.bias", key_rows},
                               Tensor{"self_attn.v_proj.bias", "attn_v.bias", key_rows},
                               kOutput,
                               kFeedForwardNorm,
                               kGate,
                               kUp,
                               kDown};
constexpr std::array kQwen3 = {kAttentionNorm, kQuery,           kQueryHeadNorm, kKey, kKeyHeadNorm, kValue,
                               kOutput,        kFeedForwardNorm, kGate,          kUp,  kDown};
constexpr std::array kQwen3Moe = {
    kAttentionNorm,
    kQuery,
    kQueryHeadNorm,
    kKey,
    kKeyHeadNorm,
    kValue,
    kOutput,
    kFeedForwardNorm,
    Tensor{"mlp.gate.weight", "ffn_gate_inp.weight", experts, hidden},
    Tensor{"mlp.experts.{e}.gate_proj.weight", "ffn_gate_exps.weight", feed_forward, hidden},
    Tensor{"mlp.experts.{e}.up_proj.weight", "ffn_up_exps.weight", feed_forward, hidden},
    Tensor{"mlp.experts.{e}.down_proj.weight", "ffn_down_exps.weight", hidden, feed_forward}};
constexpr std::array kMixtral = {
    kAttentionNorm,
    kPermutedQuery,
    kPermutedKey,
    kValue,
    kOutput,
    kFeedForwardNorm,
    Tensor{"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", experts, hidden},
    Tensor{"block_sparse_moe.experts.{e}.w1.weight", "ffn_gate_exps.weight", feed_forward, hidden},
    Tensor{"block_sparse_moe.experts.{e}.w3.weight", "ffn_up_exps.weight", feed_forward, hidden},
    Tensor{"block_sparse_moe.experts.{e}.w2.weight", "ffn_down_exps.weight", hidden, feed_forward}};
constexpr std::array kGemma2 = {kAttentionNorm,     kQuery, kKey, kValue, kOutput,          kAfterAttention,
                                kBeforeFeedForward, kGate,  kUp,  kDown,  kAfterFeedForward};
constexpr std::array kGemma3 = {
    kAttentionNorm,   kQuery,          kQueryHeadNorm,     kKey,  kKeyHeadNorm, kValue,
    kOutput,          kAfterAttention, kBeforeFeedForward, kGate, kUp,          kDown,
    kAfterFeedForward};
constexpr std::array kOlmo2 = {kQuery,
                               Tensor{"self_attn.q_norm.weight", "attn_q_norm.weight", query_rows},
                               kKey,
                               Tensor{"self_attn.k_norm.weight", "attn_k_norm.weight", key_rows},
                               kValue,
                               kOutput,
                               kAfterAttention,
                               kGate,
                               kUp,
                               kDown,
                               kAfterFeedForward};
constexpr std::array kPhi3 = {
    kAttentionNorm,   Tensor{"self_attn.qkv_proj.weight", "attn_qkv.weight", all_rows, hidden},      kOutput,
    kFeedForwardNorm, Tensor{"mlp.gate_up_proj.weight", "ffn_up.weight", both_feed_forward, hidden}, kDown};

void read_window(const JsonView& config, Config& model) {
  if (const auto window = config.member("sliding_window")) model.sliding_window = window->positive();
}

void refuse_windows(const JsonView& config, Config& /*model*/) {
  const auto flag = config.member("use_sliding_window");
  if (flag && flag->boolean())
    flag->fail("sliding layers are not supported for this architecture",
               "set it to false to attend to everything");
}

/// Which layers see everything: by "layer_types" since transformers 4.53, by a stated interval before.
std::int64_t full_attention_interval(const JsonView& config, std::int64_t otherwise) {
  const auto types = config.member("layer_types");
  if (!types) {
    const auto stated = config.member("sliding_window_pattern");
    return stated ? stated->positive() : otherwise;
  }
  std::int64_t interval = 0;
  std::int64_t index = 0;
  for (const JsonView& type : types->items()) {
    ++index;
    const bool full = type.text() == "full_attention";
    if (full && interval == 0) interval = index;
    if (full != (interval != 0 && index % interval == 0))
      type.fail("full attention comes at no fixed interval", "such a model is not supported");
  }
  return interval;
}

void read_gemma(const JsonView& config, Config& model) {
  model.embedding_scale = std::sqrt(static_cast<float>(model.hidden));
  model.attention_scale = static_cast<float>(
      1.0 / std::sqrt(config.number("query_pre_attn_scalar", static_cast<double>(model.head_dim))));
  model.attention_softcap = static_cast<float>(config.number("attn_logit_softcapping", 0.0));
  model.logit_softcap = static_cast<float>(config.number("final_logit_softcapping", 0.0));
  read_window(config, model);
  const bool third = model.architecture == "gemma3";
  model.full_attention_every = full_attention_interval(config, third ? 6 : 2);
  if (third) model.rope_theta_sliding = static_cast<float>(config.number("rope_local_base_freq", 10000.0));
}

void read_granite(const JsonView& config, Config& model) {
  model.embedding_scale = static_cast<float>(config.number("embedding_multiplier", 1.0));
  model.residual_scale = static_cast<float>(config.number("residual_multiplier", 1.0));
  model.attention_scale = static_cast<float>(config.number("attention_multiplier", 1.0));
  model.logit_scale = static_cast<float>(1.0 / config.number("logits_scaling", 1.0));
}

void read_phi3(const JsonView& config, Config& model) {
  read_window(config, model);
  const double share = config.number("partial_rotary_factor", 1.0);
  if (!(share > 0.0 && share <= 1.0))
    config.fail("partial_rotary_factor is not in (0, 1]", "the file is damaged");
  model.rope_dim = static_cast<std::int64_t>(share * static_cast<double>(model.head_dim)) / 2 * 2;
}

void read_mixtral(const JsonView& config, Config& model) {
  read_window(config, model);
  model.experts = config.required("num_local_experts").positive();
  model.experts_used = config.required("num_experts_per_tok").positive();
}

void read_qwen3_moe(const JsonView& config, Config& model) {
  refuse_windows(config, model);
  model.experts = config.required("num_experts").positive();
  model.experts_used = config.required("num_experts_per_tok").positive();
  model.feed_forward = config.required("moe_intermediate_size").positive();
  model.normalize_experts = config.boolean("norm_topk_prob", false);
  const auto step = config.member("decoder_sparse_step");
  const auto dense = config.member("mlp_only_layers");
  if ((step && step->length() != 1) || (dense && !dense->items().empty()))
    config.fail("some layers have no experts", "such a model is not supported");
}

void read_smollm3(const JsonView& config, Config& model) {
  refuse_windows(config, model);
  const auto layers = config.member("no_rope_layers");
  if (!layers) return;
  std::int64_t index = 0;
  for (const JsonView& rotates : layers->items()) {
    ++index;
    if ((rotates.length() == 0) != (index % 4 == 0))
      rotates.fail("layers without RoPE are not every fourth", "such a model is not supported");
  }
}

constexpr std::array kArchitectures = {
    HfArchitecture{"llama", "llama", kLlama},
    HfArchitecture{"mistral", "llama", kLlama, false, false, read_window},
    HfArchitecture{"mixtral", "llama", kMixtral, false, false, read_mixtral},
    HfArchitecture{"qwen2", "qwen2", kQwen2, false, false, refuse_windows},
    HfArchitecture{"qwen3", "qwen3", kQwen3, false, false, refuse_windows},
    HfArchitecture{"qwen3_moe", "qwen3moe", kQwen3Moe, false, false, read_qwen3_moe},
    HfArchitecture{"gemma2", "gemma2", kGemma2, true, true, read_gemma},
    HfArchitecture{"gemma3_text", "gemma3", kGemma3, true, true, read_gemma},
    HfArchitecture{"phi3", "phi3", kPhi3, false, false, read_phi3},
    HfArchitecture{"granite", "granite", kLlama, false, false, read_granite},
    HfArchitecture{"olmo2", "olmo2", kOlmo2},
    HfArchitecture{"smollm3", "smollm3", kLlama, false, true, read_smollm3},
};

}  // namespace

std::span<const HfArchitecture> hf_architectures() {
  return kArchitectures;
}

bool reads_model_type(std::string_view model_type) {
  return std::ranges::find(kArchitectures, model_type, &HfArchitecture::model_type) != kArchitectures.end();
}

bool reads_gguf_architecture(std::string_view name) {
  return std::ranges::find(kArchitectures, name, &HfArchitecture::gguf) != kArchitectures.end();
}

const HfArchitecture& hf_architecture(const JsonView& config) {
  const JsonView type = config.required("model_type");
  const std::string name = type.text();
  const auto* row = std::ranges::find(kArchitectures, name, &HfArchitecture::model_type);
  if (row != kArchitectures.end()) return *row;
  std::string known;
  for (const HfArchitecture& each : kArchitectures)
    known += (known.empty() ? "" : ", ") + std::string(each.model_type);
  type.fail("architecture \"" + name + "\" is not supported", "supported are " + known);
}

namespace {

// Of the rows that share a GGUF name, experts tell the one with another layout.
const HfArchitecture* find_row(const ModelConfig& config) {
  const auto* row = std::ranges::find_if(kArchitectures, [&config](const HfArchitecture& each) {
    const bool expert_row = each.layer.data() == kMixtral.data() || each.layer.data() == kQwen3Moe.data();
    return each.gguf == config.architecture && expert_row == (config.experts > 0);
  });
  return row == kArchitectures.end() ? nullptr : row;
}

}  // namespace

bool is_known_architecture(const ModelConfig& config) {
  return find_row(config) != nullptr;
}

const HfArchitecture& hf_architecture(const ModelConfig& config) {
  return *find_row(config);
}

}  // namespace stepdown::formats
