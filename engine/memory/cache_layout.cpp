#include "engine/memory/cache_layout.h"

#include <algorithm>
#include <string_view>

#include "engine/memory/saturating.h"

namespace stepdown::memory {
namespace {

enum class Layout {
  kFull,         ///< every layer keeps every token
  kWindow,       ///< every layer slides, where the header states a window
  kAlternating,  ///< one layer of every `period` keeps every token, the others slide
  kLatent,       ///< one compressed vector and one RoPE key a token, for all heads
  kExpanded,     ///< latent by its weights; every engine keeps the keys and values of all heads
};

struct Architecture {
  std::string_view name;
  Layout layout;
  std::int64_t period = 0;
};

// Both names of each: config.json's model_type and general.architecture. Read in transformers 5.24
// (models/NAME/configuration_NAME.py: a window, a list of layers or a latent rank, or none of them) and in
// llama.cpp (src/models/NAME.cpp: which cache its graph asks for); others say where. kFull of a model that
// could slide is the most that it takes.
constexpr Architecture kArchitectures[] = {
    {"llama", Layout::kFull},
    {"mistral", Layout::kWindow},
    {"mistral3", Layout::kFull},  // llama.cpp's Ministral 3; in config.json its text_config names another
    {"ministral", Layout::kWindow},
    {"ministral3", Layout::kWindow},
    {"mixtral", Layout::kWindow},
    {"qwen2", Layout::kFull},  // its sliding_window is off unless use_sliding_window says otherwise
    {"qwen2_moe", Layout::kFull},
    {"qwen2moe", Layout::kFull},
    {"qwen3", Layout::kFull},
    {"qwen3_moe", Layout::kFull},
    {"qwen3moe", Layout::kFull},
    {"gemma", Layout::kFull},
    {"gemma2", Layout::kAlternating, 2},
    {"gemma3", Layout::kAlternating, 6},
    {"gemma3_text", Layout::kAlternating, 6},
    {"gemma3n", Layout::kAlternating, 5},
    {"gemma3n_text", Layout::kAlternating, 5},
    {"gpt_oss", Layout::kAlternating, 2},
    {"gpt-oss", Layout::kAlternating, 2},
    {"cohere", Layout::kFull},
    {"command-r", Layout::kFull},
    {"cohere2", Layout::kAlternating, 4},
    {"llama4", Layout::kAlternating, 4},
    {"llama4_text", Layout::kAlternating, 4},
    {"olmo", Layout::kFull},
    {"olmo2", Layout::kFull},
    {"olmo3", Layout::kAlternating, 4},
    {"olmoe", Layout::kFull},
    {"phi", Layout::kFull},
    {"phi2", Layout::kFull},
    {"phi3", Layout::kFull},
    {"phimoe", Layout::kFull},
    {"granite", Layout::kFull},
    {"granitemoe", Layout::kFull},
    {"smollm3", Layout::kFull},
    {"stablelm", Layout::kFull},
    {"starcoder2", Layout::kWindow},  // llama.cpp slides nowhere, and its files state no window
    {"internlm2", Layout::kFull},     // huggingface.co/internlm/internlm2-7b, modeling_internlm2.py
    {"falcon", Layout::kFull},
    {"gpt2", Layout::kFull},
    {"gpt_neox", Layout::kFull},
    {"gptneox", Layout::kFull},
    {"glm4", Layout::kFull},
    {"glm4_moe", Layout::kFull},
    {"glm4moe", Layout::kFull},
    {"ernie4_5", Layout::kFull},
    {"ernie4_5_moe", Layout::kFull},
    {"ernie4_5-moe", Layout::kFull},
    {"seed_oss", Layout::kFull},
    {"hunyuan_v1_dense", Layout::kFull},
    {"hunyuan-dense", Layout::kFull},
    {"nemotron", Layout::kFull},
    {"arcee", Layout::kFull},
    {"apertus", Layout::kFull},
    {"minicpm", Layout::kFull},  // vLLM: model_executor/models/minicpm.py
    {"exaone", Layout::kFull},
    {"deepseek", Layout::kFull},  // vLLM: model_executor/models/deepseek_v2.py, DeepseekAttention
    {"deepseek2", Layout::kLatent},
    {"deepseek_v2", Layout::kLatent},
    {"deepseek_v3", Layout::kLatent},
    {"kimi_k2", Layout::kLatent},     // its config.json's auto_map: DeepseekV3ForCausalLM
    {"minicpm3", Layout::kExpanded},  // vLLM's minicpm3.py pads values to the keys' width, llama.cpp does not
};

constexpr std::int64_t kF16 = 2;

std::int64_t sliding_layers(const AttentionHeader& header, const Architecture& row) {
  if (header.lists_layers) return header.window_layers;
  if (row.layout == Layout::kWindow) return header.window > 0 ? header.layers : 0;
  if (row.layout != Layout::kAlternating) return 0;
  return header.layers - header.layers / (header.period > 0 ? header.period : row.period);
}

std::int64_t of_all_heads(const AttentionHeader& header) {
  const std::int64_t value_dim = header.value_dim > 0 ? header.value_dim : header.key_dim;
  return product({header.kv_heads, sum({header.key_dim, value_dim}), kF16});
}

}  // namespace

std::optional<KvCost> kv_cost(const AttentionHeader& header) {
  const auto* row = std::ranges::find(kArchitectures, header.architecture, &Architecture::name);
  if (row == std::end(kArchitectures) || header.foreign_layers || header.layers <= 0) return std::nullopt;
  if (row->layout == Layout::kLatent && !header.latent_is_expanded) {
    if (header.latent_dim <= 0) return std::nullopt;
    const std::int64_t latent = sum({header.latent_dim, header.rope_dim});
    return KvCost{.per_token = product({header.layers, latent, kF16}),
                  .expanded_per_token = product({header.layers, of_all_heads(header)}),
                  .heads = 1,
                  .head_dim = latent};
  }
  if (header.kv_heads <= 0 || header.key_dim <= 0) return std::nullopt;
  const std::int64_t sliding = sliding_layers(header, *row);
  if (sliding > header.layers || (sliding > 0 && header.window <= 0)) return std::nullopt;
  const std::int64_t layer = of_all_heads(header);
  // Layers that share are the last ones; they fall on both sorts as the whole model does.
  const std::int64_t own = std::max<std::int64_t>(0, header.layers - header.shared_layers);
  const std::int64_t own_sliding =
      sliding == header.layers ? own : std::min(sliding * own / header.layers, own);
  return KvCost{.per_token = product({own - own_sliding, layer}),
                .windowed_per_token = product({own_sliding, layer}),
                .window = own_sliding > 0 ? header.window : 0,
                .heads = header.kv_heads,
                .head_dim = header.key_dim};
}

}  // namespace stepdown::memory
