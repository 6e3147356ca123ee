#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/eval/perplexity.h"
#include "engine/formats/model_file.h"
#include "engine/model/kv_type.h"

namespace stepdown::eval {

/// How much perplexity may rise under a quantized cache.
inline constexpr double kMostPerplexityRise = 0.005;
/// Tokens of prompt that the check asks for, where the model's context allows it.
inline constexpr std::int64_t kCheckedTokens = 4096;

/// The largest median error of a layer that is usual: 0.02 for int8, 0.06 for fp8, 0.2 for int4.
double usual_attention_error(model::KvType type);

struct KvCheckOptions {
  model::KvType type = model::KvType::kInt8;
  double max_attention_error = 0;
  std::int64_t context = 0;  ///< longest sequence
  int threads = 0;
  std::function<void()> on_sequence = {};  ///< for progress; each is run twice
};

/// What a quantized KV cache does to a model, layer by layer, and which layers may have one.
struct KvCheck {
  model::KvType type = model::KvType::kF16;
  double limit = 0;
  std::vector<double> errors;  ///< by layer: the median over queries of ‖o_q − o‖₂ / ‖o‖₂
  std::vector<std::int64_t> f16_layers;
  std::string refusal;  ///< why no layer may have one although some passed; else empty
  std::int64_t tokens = 0;
  double perplexity_f16 = 0;
  double perplexity = 0;  ///< with the layers that passed
  std::int64_t retrievals = 0;
  std::int64_t found_f16 = 0;
  std::int64_t found = 0;
};

/// Runs `prompts` with a binary16 cache, and each layer's attention again from a cache of `type` over the
/// same keys, values and queries. Layers over the limit keep binary16; with the others quantized, perplexity
/// over `prompts` may rise by kMostPerplexityRise at most and `retrievals` (prompt and answer) must be
/// answered as often as before, else all layers keep binary16.
KvCheck check_kv(const formats::ModelFile& file, std::span<const SampleTokens> prompts,
                 std::span<const SampleTokens> retrievals, const KvCheckOptions& options);

/// Prompts packed into sequences of `length` tokens, at most `count` of them; the last may be shorter when
/// there is no other.
std::vector<SampleTokens> packed(std::span<const SampleTokens> prompts, std::int64_t length,
                                 std::size_t count);

/// {"type", "limit", "layers": [{"layer", "error", "type"}], "f16Layers", "refusal", "tokens", "perplexity":
/// {"f16", "quantized"}, "retrieval": {"n", "f16", "quantized"}}
nlohmann::json to_json(const KvCheck& check);

}  // namespace stepdown::eval
