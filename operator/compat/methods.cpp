#include "operator/compat/methods.h"

#include <algorithm>
#include <cmath>

#include "engine/formats/hf_architecture.h"

namespace stepdown::compat {
namespace {

// Mean bits of presets: as llama.cpp reports them for Llama 3.1 8B; of the others: bits and scales of groups
// of 128, with embeddings and head at 16 bits in a model of 8 B weights.
constexpr Method kMethods[] = {
    {"gguf", "Q8_0", 8, 8.5, "gguf"},
    {"gguf", "Q6_K", 6, 6.56, "gguf"},
    {"gguf", "Q5_K_M", 5, 5.7, "gguf"},
    {"gguf", "Q5_K_S", 5, 5.57, "gguf"},
    {"gguf", "Q5_1", 5, 6.0, "gguf"},
    {"gguf", "Q5_0", 5, 5.57, "gguf"},
    {"gguf", "Q4_K_M", 4, 4.89, "gguf"},
    {"gguf", "Q4_K_S", 4, 4.67, "gguf"},
    {"gguf", "Q4_1", 4, 5.13, "gguf"},
    {"gguf", "Q4_0", 4, 4.66, "gguf"},
    {"gguf", "IQ4_NL", 4, 4.68, "gguf"},
    {"gguf", "IQ4_XS", 4, 4.46, "gguf"},
    {"gguf", "Q3_K_L", 3, 4.3, "gguf"},
    {"gguf", "Q3_K_M", 3, 4.0, "gguf"},
    {"gguf", "Q3_K_S", 3, 3.64, "gguf"},
    {"gguf", "Q2_K", 2, 3.16, "gguf"},
    {"gguf", "TQ2_0", 2, 2.06, "ternary", false, false},
    {"gguf", "TQ1_0", 1, 1.69, "ternary", false, false},
    {"mixed", "", 4, 4.5, "gguf", true},
    {"awq", "", 4, 5.7, "awq", true},
    {"gptq", "", 4, 5.7, "gptq", true},
    {"gptq", "", 8, 9.2, "gptq", true},
    {"gptq", "", 3, 4.8, "gptq", true},
    {"gptq", "", 2, 3.9, "gptq", true},
    {"gptq-v2", "", 4, 5.7, "gptq-v2", true, false},
    {"int8", "", 8, 9.0, "w8a16"},
    {"int4", "", 4, 5.7, "w4a16"},
    {"w8a8", "", 8, 9.0, "w8a8", true, false},
    {"smoothquant", "", 8, 9.0, "w8a8", true},
    {"autoround", "", 4, 5.7, "gptq", true},
    {"autoround", "", 3, 4.8, "gptq", true},
    {"autoround", "", 2, 3.9, "gptq", true},
    {"qat", "", 4, 5.7, "gptq", true},
    {"qat", "", 3, 4.8, "gptq", true},
    {"fp8", "", 8, 9.0, "fp8"},
    {"nf4", "", 4, 5.6, "bitsandbytes"},
    {"nvfp4", "", 4, 5.8, "nvfp4", true, false},
    {"mxfp4", "", 4, 5.6, "mxfp4", false, false},
    {"exl2", "", 4, 5.0, "exl2", true, false},
    {"ternary", "", 2, 3.5, "ternary", false, false},
};

// Embeddings and head of a model of 8 B weights (Llama 3.1: 2 x 128,256 x 4,096), and how their share falls
// as models grow: fitted to Llama 3.1 70B (3 %), Qwen2.5 32B (5 %), Gemma 2 2B and Llama 3.2 1B (a fifth to a
// quarter).
constexpr double kWeights = 8.03e9, kShare = 0.13, kExponent = 0.65, kLargestShare = 0.25;
constexpr double kPlainBits = 16;

/// Others of the table code all tensors.
bool keeps_embeddings(const Method& method) {
  return method.preset.empty() && method.format != "gguf" && method.format != "exl2" &&
         method.format != "ternary";
}

double mean_bits(const Method& method, double weights) {
  if (!keeps_embeddings(method) || weights <= 0) return method.mean_bits;
  const double share = std::min(kLargestShare, kShare * std::pow(kWeights / weights, kExponent));
  const double coded = (method.mean_bits - kPlainBits * kShare) / (1 - kShare);
  return kPlainBits * share + coded * (1 - share);
}

// Whose gradients engine/quant/training has.
constexpr std::string_view kTrained[] = {"llama", "mistral"};

}  // namespace

std::vector<std::string_view> quantized_architectures(const Method& method) {
  if (method.method == "qat") return {std::begin(kTrained), std::end(kTrained)};
  std::vector<std::string_view> names;  // what the engine reads, its methods follow
  for (const formats::HfArchitecture& each : formats::hf_architectures()) {
    for (const std::string_view name : {each.gguf, each.model_type}) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

bool quantizes(const Method& method, std::string_view architecture) {
  const auto known = quantized_architectures(method);
  return std::ranges::find(known, architecture) != known.end();
}

std::span<const Method> methods() {
  return kMethods;
}

const Method* find_method(const api::CandidateSpec& candidate) {
  for (const Method& each : kMethods) {
    if (each.method != candidate.method || each.preset != candidate.preset) continue;
    if (!each.preset.empty() || candidate.bits.value_or(each.bits) == each.bits) return &each;
  }
  return nullptr;
}

std::int64_t predicted_bytes(const Method& method, std::int64_t fp16_bytes) {
  constexpr double kLargest = 9e18;
  const auto bytes = static_cast<double>(fp16_bytes);
  return static_cast<std::int64_t>(
      std::min(bytes * mean_bits(method, bytes / (kPlainBits / 8)) / kPlainBits, kLargest));
}

}  // namespace stepdown::compat
