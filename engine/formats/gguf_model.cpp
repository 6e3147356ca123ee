#include "engine/formats/gguf_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "engine/base/error.h"
#include "engine/formats/end_tokens.h"

namespace stepdown::formats {
namespace {

constexpr std::int64_t kMaxLength = 1 << 30;  // of any dimension; keeps products of two inside int64

/// Typed access to metadata with errors that name file and key.
class Keys {
 public:
  Keys(const GgufMetadata& metadata, std::string file) : metadata_(metadata), file_(std::move(file)) {}

  const GgufValue* find(const std::string& key) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? nullptr : &found->second;
  }

  /// A length; per-layer arrays count when all layers agree.
  std::optional<std::int64_t> length(const std::string& key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    std::optional<std::int64_t> length = value->integer();
    if (const auto layers = value->integers(); layers && !layers->empty()) {
      if (std::ranges::adjacent_find(*layers, std::ranges::not_equal_to{}) != layers->end()) {
        fail(key, "differs by layer, which is not supported", "give a model with equal layers");
      }
      length = layers->front();
    }
    if (!length || *length < 0 || *length > kMaxLength) fail(key, "is no length", "the header is damaged");
    return length;
  }

  std::int64_t required(const std::string& key) const {
    const auto found = length(key);
    if (!found) fail(key, "is missing", "convert the model anew with a current converter");
    if (*found == 0) fail(key, "is 0", "the header is damaged");
    return *found;
  }

  template <typename T>
  std::optional<T> optional(const std::string& key, std::optional<T> (GgufValue::*get)() const,
                            const char* kind) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    auto got = (value->*get)();
    if (!got) fail(key, std::string("is no ") + kind, "the header is damaged");
    return got;
  }

  std::optional<std::string> text(const std::string& key) const {
    return optional(key, &GgufValue::text, "string");
  }
  std::optional<double> number(const std::string& key) const {
    return optional(key, &GgufValue::number, "number");
  }
  std::optional<bool> flag(const std::string& key) const {
    return optional(key, &GgufValue::boolean, "bool");
  }

  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& mend) const {
    throw InputError(what, file_ + ": key '" + key + "'", mend);
  }

 private:
  const GgufMetadata& metadata_;
  std::string file_;
};

const TensorView* find_tensor(std::span<const TensorView> tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &TensorView::name);
  return found == tensors.end() ? nullptr : &*found;
}

std::int64_t vocabulary(const Keys& keys, const std::string& prefix) {
  if (const auto stated = keys.length(prefix + "vocab_size")) return *stated;
  const GgufValue* tokens = keys.find("tokenizer.ggml.tokens");
  return tokens == nullptr ? 0 : static_cast<std::int64_t>(tokens->count);
}

std::optional<std::int32_t> token_id(const Keys& keys, const std::string& key, std::size_t count) {
  const GgufValue* value = keys.find(key);
  if (value == nullptr) return std::nullopt;
  const auto id = value->integer();
  if (!id) keys.fail(key, "is no token id", "the header is damaged");
  // Some converters write −1 or 2³²−1 for "none".
  if (*id == -1 || *id == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  if (*id < 0 || static_cast<std::uint64_t>(*id) >= count) {
    keys.fail(key, "is " + std::to_string(*id) + ", but there are " + std::to_string(count) + " tokens",
              "the header is damaged");
  }
  return static_cast<std::int32_t>(*id);
}

template <typename T>
std::vector<T> token_array(const Keys& keys, const std::string& key, std::size_t count,
                           std::optional<std::vector<T>> (GgufValue::*get)() const) {
  const auto values = keys.optional(key, get, "array of the right type");
  if (!values) return {};
  if (values->size() != count) {
    keys.fail(key,
              "has " + std::to_string(values->size()) + " entries for " + std::to_string(count) + " tokens",
              "the header is damaged");
  }
  return *values;
}

TokenizerData::Model tokenizer_model(const Keys& keys) {
  constexpr const char* kKey = "tokenizer.ggml.model";
  const auto name = keys.text(kKey);
  if (!name) keys.fail(kKey, "is missing", "give a model file that holds its tokenizer");
  if (*name == "gpt2") return TokenizerData::Model::kBpe;
  if (*name == "llama") return TokenizerData::Model::kSentencePiece;
  keys.fail(kKey, "is \"" + *name + "\", which is not supported", "supported are \"gpt2\" and \"llama\"");
}

RopeScaling rope_scaling(const Keys& keys, const std::string& prefix, const ModelConfig& config,
                         bool long_factors) {
  using Kind = RopeScaling::Kind;
  RopeScaling scaling;
  const std::string key = prefix + "rope.scaling.";
  // Phi 3's files do not name it: their factors tell.
  const std::string type = keys.text(key + "type").value_or(long_factors ? "longrope" : "none");
  const auto number = [&](const std::string& name, double otherwise) {
    return static_cast<float>(keys.number(key + name).value_or(otherwise));
  };
  if (type == "none") return scaling;
  scaling.original_context = number("original_context_length", static_cast<double>(config.context_length));
  if (type == "longrope" && long_factors) {
    scaling.kind = Kind::kLong;
    scaling.attention_factor = number("attn_factor", 1.0);
    return scaling;
  }
  if (type != "linear" && type != "yarn") {
    keys.fail(key + "type", "is \"" + type + "\", which is not supported",
              "supported are linear and yarn, llama3's rope_freqs and longrope's rope_factors");
  }
  scaling.kind = type == "yarn" ? Kind::kYarn : Kind::kLinear;
  scaling.factor = number("factor", 1.0);
  // "attn_factor" multiplies what YaRN's paper gives, "yarn_attn_factor" stands in its place.
  const double paper = 0.1 * std::log(static_cast<double>(scaling.factor)) + 1.0;
  scaling.attention_factor = number("attn_factor", 1.0) * number("yarn_attn_factor", paper);
  scaling.beta_fast = number("yarn_beta_fast", 32.0);
  scaling.beta_slow = number("yarn_beta_slow", 1.0);
  return scaling;
}

/// Every n-th layer sees everything: stated as n, or layer by layer whether it slides.
std::int64_t full_attention_interval(const Keys& keys, const std::string& key, std::int64_t otherwise) {
  const GgufValue* value = keys.find(key);
  if (value == nullptr) return otherwise;
  const auto slides = value->booleans();
  if (!slides) return keys.length(key).value_or(otherwise);
  const auto full = std::ranges::find(*slides, false);
  if (full == slides->end()) return 0;
  const auto interval = full - slides->begin() + 1;
  for (std::size_t i = 0; i < slides->size(); ++i) {
    if ((*slides)[i] != ((static_cast<std::ptrdiff_t>(i) + 1) % interval != 0))
      keys.fail(key, "has full attention at no fixed interval", "such a model is not supported");
  }
  return interval;
}

// Gemma's files leave out what all its sizes but the 27 B share: there a query is scaled by its head's share
// of the hidden length.
float gemma_attention_scale(const ModelConfig& config) {
  const bool largest = config.layers == (config.architecture == "gemma2" ? 46 : 62);
  return 1.0f / std::sqrt(static_cast<float>(largest ? config.hidden / config.heads : config.head_dim));
}

void read_variants(const Keys& keys, const std::string& prefix, ModelConfig& config) {
  const auto number = [&](const char* name, float otherwise) {
    return static_cast<float>(keys.number(prefix + name).value_or(otherwise));
  };
  const bool gemma = config.architecture == "gemma2" || config.architecture == "gemma3";
  config.sliding_window = keys.length(prefix + "attention.sliding_window").value_or(0);
  const std::int64_t usual = config.architecture == "gemma2" ? 2 : config.architecture == "gemma3" ? 6 : 0;
  config.full_attention_every =
      full_attention_interval(keys, prefix + "attention.sliding_window_pattern", usual);
  config.rope_theta_sliding = number("rope.freq_base_swa", config.architecture == "gemma3" ? 10000.0f : 0.0f);
  config.attention_scale = number("attention.scale", gemma ? gemma_attention_scale(config) : 0.0f);
  config.attention_softcap = number("attn_logit_softcapping", 0.0f);
  config.logit_softcap = number("final_logit_softcapping", 0.0f);
  config.embedding_scale =
      number("embedding_scale", gemma ? std::sqrt(static_cast<float>(config.hidden)) : 1.0f);
  config.residual_scale = number("residual_scale", 1.0f);
  config.logit_scale = 1.0f / number("logit_scale", 1.0f);
  config.experts = keys.length(prefix + "expert_count").value_or(0);
  config.experts_used = keys.length(prefix + "expert_used_count").value_or(0);
  config.normalize_experts = keys.flag(prefix + "expert_weights_norm").value_or(true);
  if (config.experts > 0)
    config.feed_forward = keys.length(prefix + "expert_feed_forward_length").value_or(config.feed_forward);
}

}  // namespace

ModelConfig config_from_gguf(const GgufMetadata& metadata, std::span<const TensorView> tensors,
                             const std::string& file) {
  const Keys keys(metadata, file);
  ModelConfig config;
  config.architecture = keys.text("general.architecture").value_or("");
  if (config.architecture.empty()) {
    keys.fail("general.architecture", "is missing", "convert the model anew with a current converter");
  }
  config.name = keys.text("general.name").value_or("");
  const std::string prefix = config.architecture + ".";
  config.layers = keys.required(prefix + "block_count");
  config.hidden = keys.required(prefix + "embedding_length");
  config.feed_forward = keys.required(prefix + "feed_forward_length");
  config.heads = keys.required(prefix + "attention.head_count");
  config.kv_heads = keys.length(prefix + "attention.head_count_kv").value_or(config.heads);
  config.head_dim = keys.length(prefix + "attention.key_length").value_or(config.hidden / config.heads);
  config.rope_dim = keys.length(prefix + "rope.dimension_count").value_or(config.head_dim);
  config.context_length = keys.required(prefix + "context_length");
  config.rope_theta = static_cast<float>(keys.number(prefix + "rope.freq_base").value_or(10000.0));
  config.rms_eps =
      static_cast<float>(keys.number(prefix + "attention.layer_norm_rms_epsilon").value_or(1e-5));
  config.rope_scaling =
      rope_scaling(keys, prefix, config, find_tensor(tensors, "rope_factors_long.weight") != nullptr);
  config.vocab = vocabulary(keys, prefix);
  config.tied_embeddings = find_tensor(tensors, "output.weight") == nullptr;
  read_variants(keys, prefix, config);
  return config;
}

namespace {

/// Whatever differs from its default.
void write_variants(const ModelConfig& config, GgufMetadata& keys) {
  const std::string prefix = config.architecture + ".";
  const auto length = [&](const char* name, std::int64_t value) {
    if (value != 0) keys[prefix + name] = GgufValue::of(static_cast<std::uint32_t>(value));
  };
  const auto number = [&](const char* name, float value, float otherwise) {
    if (value != otherwise) keys[prefix + name] = GgufValue::of(value);
  };
  length("attention.sliding_window", config.sliding_window);
  length("attention.sliding_window_pattern", config.full_attention_every);
  number("rope.freq_base_swa", config.rope_theta_sliding, 0.0f);
  number("attention.scale", config.attention_scale, 0.0f);
  number("attn_logit_softcapping", config.attention_softcap, 0.0f);
  number("final_logit_softcapping", config.logit_softcap, 0.0f);
  number("embedding_scale", config.embedding_scale, 1.0f);
  number("residual_scale", config.residual_scale, 1.0f);
  number("logit_scale", 1.0f / config.logit_scale, 1.0f);
  length("expert_count", config.experts);
  length("expert_used_count", config.experts_used);
  if (config.experts > 0) length("expert_feed_forward_length", config.feed_forward);
  if (!config.normalize_experts) keys[prefix + "expert_weights_norm"] = GgufValue::of_bool(false);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kNone) return;
  const bool yarn = scaling.kind == RopeScaling::Kind::kYarn;
  const bool longer = scaling.kind == RopeScaling::Kind::kLong;
  keys[prefix + "rope.scaling.type"] = GgufValue::of_text(yarn ? "yarn" : longer ? "longrope" : "linear");
  if (yarn || longer)
    length("rope.scaling.original_context_length", static_cast<std::int64_t>(scaling.original_context));
  if (longer) return number("rope.scaling.attn_factor", scaling.attention_factor, 0.0f);
  number("rope.scaling.factor", scaling.factor, 0.0f);
  if (!yarn) return;
  if (scaling.attention_factor != 0.0f)
    number("rope.scaling.attn_factor", scaling.attention_factor / (0.1f * std::log(scaling.factor) + 1.0f),
           1.0f);
  number("rope.scaling.yarn_beta_fast", scaling.beta_fast, 32.0f);
  number("rope.scaling.yarn_beta_slow", scaling.beta_slow, 1.0f);
}

}  // namespace

TokenizerData tokenizer_from_gguf(const GgufMetadata& metadata, const std::string& file) {
  const Keys keys(metadata, file);
  TokenizerData data;
  data.model = tokenizer_model(keys);
  const bool sentence_piece = data.model == TokenizerData::Model::kSentencePiece;
  data.pre = keys.text("tokenizer.ggml.pre").value_or("default");
  auto tokens = keys.optional("tokenizer.ggml.tokens", &GgufValue::texts, "array of strings");
  if (!tokens || tokens->empty()) {
    keys.fail("tokenizer.ggml.tokens", "is missing", "give a model file that holds its tokenizer");
  }
  data.tokens = std::move(*tokens);
  const std::size_t count = data.tokens.size();

  data.types.assign(count, TokenizerData::TokenType::kNormal);
  const auto types = token_array(keys, "tokenizer.ggml.token_type", count, &GgufValue::integers);
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6) {
      keys.fail("tokenizer.ggml.token_type", "holds " + std::to_string(types[i]) + ", not 1 to 6",
                "the header is damaged");
    }
    data.types[i] = static_cast<TokenizerData::TokenType>(types[i]);
  }
  for (const double score : token_array(keys, "tokenizer.ggml.scores", count, &GgufValue::numbers)) {
    data.scores.push_back(static_cast<float>(score));
  }
  if (sentence_piece && data.scores.empty()) {
    keys.fail("tokenizer.ggml.scores", "is missing", "a SentencePiece tokenizer needs scores; convert anew");
  }
  auto merges = keys.optional("tokenizer.ggml.merges", &GgufValue::texts, "array of strings");
  if (!sentence_piece && !merges)
    keys.fail("tokenizer.ggml.merges", "is missing", "a BPE tokenizer needs merges; convert anew");
  data.merges = std::move(merges).value_or(data.merges);

  data.bos = token_id(keys, "tokenizer.ggml.bos_token_id", count);
  data.eos = token_id(keys, "tokenizer.ggml.eos_token_id", count);
  data.unknown = token_id(keys, "tokenizer.ggml.unknown_token_id", count);
  data.padding = token_id(keys, "tokenizer.ggml.padding_token_id", count);
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = token_id(keys, key, count)) data.end_of_turn.push_back(*id);
  }
  complete_end_of_turn(data);
  // Llama 3's files leave the flag out and mean true.
  data.add_bos =
      keys.flag("tokenizer.ggml.add_bos_token").value_or(sentence_piece || data.pre == "llama-bpe");
  data.add_space_prefix = keys.flag("tokenizer.ggml.add_space_prefix").value_or(sentence_piece);
  data.chat_template = keys.text("tokenizer.chat_template").value_or("");
  return data;
}

GgufMetadata gguf_from_model(const ModelConfig& config, const TokenizerData& tokenizer) {
  GgufMetadata keys;
  const std::string prefix = config.architecture + ".";
  const auto set_length = [&](const std::string& key, std::int64_t value) {
    keys[key] = GgufValue::of(static_cast<std::uint32_t>(value));
  };
  keys["general.architecture"] = GgufValue::of_text(config.architecture);
  if (!config.name.empty()) keys["general.name"] = GgufValue::of_text(config.name);
  set_length(prefix + "block_count", config.layers);
  set_length(prefix + "embedding_length", config.hidden);
  set_length(prefix + "feed_forward_length", config.feed_forward);
  set_length(prefix + "attention.head_count", config.heads);
  set_length(prefix + "attention.head_count_kv", config.kv_heads);
  set_length(prefix + "attention.key_length", config.head_dim);
  set_length(prefix + "attention.value_length", config.head_dim);
  set_length(prefix + "rope.dimension_count", config.rope_dim);
  set_length(prefix + "context_length", config.context_length);
  set_length(prefix + "vocab_size", config.vocab);
  keys[prefix + "rope.freq_base"] = GgufValue::of(config.rope_theta);
  keys[prefix + "attention.layer_norm_rms_epsilon"] = GgufValue::of(config.rms_eps);

  write_variants(config, keys);

  const bool sentence_piece = tokenizer.model == TokenizerData::Model::kSentencePiece;
  keys["tokenizer.ggml.model"] = GgufValue::of_text(sentence_piece ? "llama" : "gpt2");
  keys["tokenizer.ggml.pre"] = GgufValue::of_text(tokenizer.pre);
  keys["tokenizer.ggml.tokens"] = GgufValue::of_texts(tokenizer.tokens);
  std::vector<std::int32_t> types;
  types.reserve(tokenizer.types.size());
  for (const auto type : tokenizer.types) types.push_back(static_cast<std::int32_t>(type));
  keys["tokenizer.ggml.token_type"] = GgufValue::of_ints(types);
  if (sentence_piece) keys["tokenizer.ggml.scores"] = GgufValue::of_floats(tokenizer.scores);
  if (!sentence_piece) keys["tokenizer.ggml.merges"] = GgufValue::of_texts(tokenizer.merges);
  const auto set_id = [&](const char* key, std::optional<std::int32_t> id) {
    if (id) set_length(key, *id);
  };
  set_id("tokenizer.ggml.bos_token_id", tokenizer.bos);
  set_id("tokenizer.ggml.eos_token_id", tokenizer.eos);
  set_id("tokenizer.ggml.unknown_token_id", tokenizer.unknown);
  set_id("tokenizer.ggml.padding_token_id", tokenizer.padding);
  if (!tokenizer.end_of_turn.empty()) set_id("tokenizer.ggml.eot_token_id", tokenizer.end_of_turn.front());
  keys["tokenizer.ggml.add_bos_token"] = GgufValue::of_bool(tokenizer.add_bos);
  keys["tokenizer.ggml.add_space_prefix"] = GgufValue::of_bool(tokenizer.add_space_prefix);
  if (!tokenizer.chat_template.empty()) {
    keys["tokenizer.chat_template"] = GgufValue::of_text(tokenizer.chat_template);
  }
  return keys;
}

}  // namespace stepdown::formats
