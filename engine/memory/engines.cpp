#include "engine/memory/engines.h"

#include <algorithm>

namespace stepdown::memory {
namespace {

constexpr std::int64_t kMebi = std::int64_t{1} << 20;

struct Engine {
  std::string_view name;
  EngineTraits traits;
};

// ggml-cpu keeps a second, interleaved copy of 4-bit weights beside the mapped file. Pages of 256 tokens and
// steps of 512: llama-kv-cache-iswa.cpp.
constexpr EngineTraits ggml(std::int64_t overhead) {
  return {.overhead = overhead,
          .scale_block = 32,
          .frees_window = true,
          .page = 256,
          .chunk = 512,
          .splits_layers = true,
          .repacks = true};
}

// tests/integration/memory measures the first, tests/interop/llamacpp_server the second.
constexpr Engine kEngines[] = {
    {"stepdown", {.overhead = 20 * kMebi}},
    {"llama.cpp", ggml(36 * kMebi)},
    {"ollama", ggml(64 * kMebi)},
    {"vllm", {.scaleless = true, .frees_window = true}},
    {"sglang", {.scaleless = true}},
    // Its flash_deepseek_v2_modeling.py and _v3_ store padded keys and values of all heads.
    {"tgi", {.scaleless = true, .expands_latent = true}},
    {"tensorrt-llm", {.scaleless = true}},
};

}  // namespace

EngineTraits engine_traits(std::string_view engine) {
  const auto* found = std::ranges::find(kEngines, engine, &Engine::name);
  return found == std::end(kEngines) ? EngineTraits{.scaleless = true} : found->traits;
}

}  // namespace stepdown::memory
